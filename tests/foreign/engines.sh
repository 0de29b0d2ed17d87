#!/usr/bin/env bash
# Lays real servers under FOLDER that the distribution does not have: `tests/foreign/engines.sh FOLDER`.
#
# Debian's stable releases carry MariaDB and one version of PostgreSQL; unstable has MySQL and newer versions of the other two. Its packages, and
# every library that they need down to the C library, are fetched from the mirror of this machine's own apt and unpacked beside it: nothing
# is installed, and no program of this machine loads any of them. apt checks the signatures by the keyring that is installed.
#
#   FOLDER/bin                     MySQL: mysqld, mysql, mysqldump, mysqlbinlog (for the PATH)
#   FOLDER/newer/postgresql/bin    initdb, postgres, psql, pg_dump, pg_restore
#   FOLDER/newer/mariadb/bin       mariadb-install-db, mariadbd, mariadb
#
# What works already is left as it is. It fails where one of them could not be had; the others are there all the same.
set -euo pipefail
folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

mysql_works() { "$folder/bin/mysqld" --version 2>/dev/null | grep -q 'Ver [0-9]'; }
newer_works() {
  "$folder/newer/postgresql/bin/postgres" --version 2>/dev/null | grep -q 'PostgreSQL' \
    && "$folder/newer/mariadb/bin/mariadbd" --version 2>/dev/null | grep -q 'MariaDB'
}
mysql_works && newer_works && exit 0
for tool in apt-get dpkg; do
  command -v "$tool" >/dev/null || { printf 'engines.sh: %s is not here: servers are fetched on Debian and its kin only\n' "$tool" >&2; exit 1; }
done

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || { printf 'engines.sh: %s is not here: install debian-archive-keyring\n' "$keyring" >&2; exit 1; }
# The mirror that this machine takes Debian's packages from.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^ *#' | grep -o 'https\?://[^ ]*/debian/\?\( \|$\)' | head -n 1 || true)
mirror=${mirror:-http://deb.debian.org/debian}

rm -rf "$folder/apt"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
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
  -o "Dir::State=$folder/apt" -o "Dir::State::status=$folder/apt/status" -o "Dir::Cache=$folder/apt"
  -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o APT::Install-Recommends=false)
apt-get "${apt[@]}" update

# Of all that apt would install: servers, clients and libraries, without what only scripts in Perl and compiled queries need.
unpack() {
  local tree=$1 packages
  shift
  packages=$(apt-get "${apt[@]}" --simulate install "$@" | awk '
    $1 == "Inst" && $2 ~ /^(lib|zlib1g$|gcc-[0-9]+-base$|(mysql|mariadb)-|postgresql-(client-)?[0-9]+$)/ && $2 !~ /^lib(perl|gdbm|db5|llvm|clang)|-perl$/ { print $2 }')
  [ -n "$packages" ]
  rm -rf "$tree"
  mkdir -p "$tree"
  (cd "$folder/apt/archives" && printf '%s\n' "$packages" | xargs apt-get "${apt[@]}" download)
  local package
  for package in $packages; do
    dpkg -x "$folder/apt/archives/$package"_*.deb "$tree"
  done
  rm -rf "$tree/usr/share/doc" "$tree/usr/share/man"
}

# `wrap AT PROGRAM ARGUMENT...`: AT starts PROGRAM, which is of $tree, by the loader of its own libraries. Our arguments come last: --no-defaults has to be the first.
wrap() {
  local at=$1 program=$2 loader argument
  shift 2
  loader=$(find "$tree/usr/lib" -name 'ld-linux*.so.*' -print -quit)
  {
    # The program looks for others beside the path that it was called by.
    printf '#!/bin/sh\nexec "%s" --library-path "%s" --argv0 "%s" "%s" "$@"' "$loader" "$(dirname "$loader")" "$at" "$program"
    for argument in "$@"; do printf ' "%s"' "$argument"; done
    printf '\n'
  } >"$at.new"
  chmod 755 "$at.new"
  mv "$at.new" "$at"
}

# The same in the program's own place, for programs that others of its package start.
in_place() {
  local program=$1
  shift
  mv "$program" "$program.real"
  wrap "$program" "$program.real" "$@"
}

lay_mysql() {
  local tree=$folder/tree client
  unpack "$tree" mysql-server-core mysql-client-core
  rm -rf "$folder/bin"
  mkdir -p "$folder/bin"
  local sets="--character-sets-dir=$tree/usr/share/mysql/charsets"
  wrap "$folder/bin/mysqld" "$tree/usr/sbin/mysqld" "--basedir=$tree/usr" "--lc-messages-dir=$tree/usr/share/mysql" "$sets"
  for client in mysql mysqldump mysqlbinlog; do
    wrap "$folder/bin/$client" "$tree/usr/bin/$client" "$sets"
  done
  mysql_works
}

lay_newer() {
  local tree=$folder/newer/tree program share
  unpack "$tree" postgresql mariadb-server-core mariadb-client-core
  rm -rf "$folder/newer/postgresql" "$folder/newer/mariadb"
  ln -s "$(find "$tree/usr/lib/postgresql" -mindepth 1 -maxdepth 1 -name '[0-9]*' -print -quit)" "$folder/newer/postgresql"
  for program in postgres initdb psql pg_dump pg_restore; do
    in_place "$(realpath "$folder/newer/postgresql")/bin/$program"
  done
  share=$(dirname "$(find "$tree/usr/share" -name mariadb_system_tables.sql -print -o -name mysql_system_tables.sql -print | head -n 1)")
  in_place "$tree/usr/sbin/mariadbd" "--basedir=$tree/usr" "--lc-messages-dir=$share" "--character-sets-dir=$share/charsets"
  for program in mariadb my_print_defaults resolveip; do
    in_place "$tree/usr/bin/$program"
  done
  mkdir -p "$folder/newer/mariadb/bin"
  ln -s "$tree/usr/sbin/mariadbd" "$tree/usr/bin/mariadb" "$folder/newer/mariadb/bin"
  printf '#!/bin/sh\nexec "%s" "$@" "--basedir=%s"\n' "$tree/usr/bin/mariadb-install-db" "$tree/usr" >"$folder/newer/mariadb/bin/mariadb-install-db"
  chmod 755 "$folder/newer/mariadb/bin/mariadb-install-db"
  newer_works
}

failed=0
# In the background: as part of a condition no command of theirs would end them.
mysql_works || { lay_mysql & wait "$!" || { printf 'engines.sh: no MySQL could be had\n' >&2; failed=1; }; }
newer_works || { lay_newer & wait "$!" || { printf 'engines.sh: no newer PostgreSQL and MariaDB could be had\n' >&2; failed=1; }; }
rm -rf "$folder/apt"
exit "$failed"
