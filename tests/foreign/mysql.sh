#!/usr/bin/env bash
# Lays a real MySQL under FOLDER where the distribution has none: `tests/foreign/mysql.sh FOLDER`, then `PATH=FOLDER/bin:$PATH`.
#
# Debian's stable releases carry MariaDB alone; unstable has MySQL. Its packages, and every library that they need down to the C library,
# are fetched from the mirror of this machine's own apt and unpacked beside it: nothing is installed, and no program of this machine loads
# any of them. apt checks the signatures by the keyring that is installed. A folder that has a working server is left as it is.
set -euo pipefail
folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

works() { "$folder/bin/mysqld" --version 2>/dev/null | grep -q 'Ver [0-9]'; }
works && exit 0
for tool in apt-get dpkg; do
  command -v "$tool" >/dev/null || { printf 'mysql.sh: %s is not here: MySQL is fetched on Debian and its kin only\n' "$tool" >&2; exit 1; }
done

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || { printf 'mysql.sh: %s is not here: install debian-archive-keyring\n' "$keyring" >&2; exit 1; }
# The mirror that this machine takes Debian's packages from.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^ *#' | grep -o 'https\?://[^ ]*/debian/\?\( \|$\)' | head -n 1 || true)
mirror=${mirror:-http://deb.debian.org/debian}

rm -rf "$folder/apt" "$folder/tree" "$folder/bin"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial" "$folder/tree" "$folder/bin"
cat >"$folder/apt/debian.sources" <<SOURCES
Types: deb
URIs: ${mirror%% }
Suites: sid
Components: main
Architectures: $(dpkg --print-architecture)
Signed-By: $keyring
Targets: Packages
SOURCES
# Nothing counts as installed, so that all of it is fetched.
: >"$folder/apt/status"
apt=(-q -q -o "Dir::Etc::sourcelist=$folder/apt/debian.sources" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
  -o "Dir::State=$folder/apt" -o "Dir::State::status=$folder/apt/status" -o "Dir::Cache=$folder/apt" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o APT::Install-Recommends=false)
apt-get "${apt[@]}" update

# All that apt would install, but for scripts in Perl.
packages=$(apt-get "${apt[@]}" --simulate install mysql-server-core mysql-client-core \
  | awk '$1 == "Inst" && $2 !~ /^(perl|libperl|libgdbm|libdb5|debconf)/ { print $2 }')
(cd "$folder/apt/archives" && printf '%s\n' "$packages" | xargs apt-get "${apt[@]}" download)
for package in "$folder"/apt/archives/*.deb; do
  dpkg -x "$package" "$folder/tree"
done
(cd "$folder" && rm -rf apt tree/usr/share/doc tree/usr/share/man)

# Each program is started by the loader of its own libraries. Our arguments come last: --no-defaults has to be the first.
loader=$(find "$folder/tree/usr/lib" -name 'ld-linux*.so.*' -print -quit)
libraries=$(dirname "$loader")
wrap() {
  local program=$1
  shift
  {
    printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"' "$loader" "$libraries" "$(find "$folder/tree/usr" -name "$program" -type f -print -quit)"
    [ $# -eq 0 ] || printf ' "%s"' "$@"
    printf '\n'
  } >"$folder/bin/$program"
  chmod 755 "$folder/bin/$program"
}
sets="--character-sets-dir=$folder/tree/usr/share/mysql/charsets"
wrap mysqld "--basedir=$folder/tree/usr" "--lc-messages-dir=$folder/tree/usr/share/mysql" "$sets"
for client in mysql mysqldump mysqlbinlog; do
  wrap "$client" "$sets"
done
works
