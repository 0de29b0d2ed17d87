//! What nobody demanded of a restored database instance, by the looks that were taken at it: one rule, recorded by the drill and derived
//! again by `log verify`. A demand leaves its probe, and what left none was not demanded.
//!
//! The words stand in entries for ever and are compared as they are: others need another `RESULT_VERSION`.

use crate::testing_log::point_result::Probe;

/// The probe of an instance whose server proved by its certificate who it is.
pub const CERTIFICATE: &str = "server-certificate";

/// Looks, any of which answers a demand, and what is said where none was taken.
const DEMANDS: [(&[&str], &str); 3] = [
    (&["subnet-group", "vpc"], "its network: set subnet_group or vpc_id in [isolation]"),
    (&["security-groups"], "its security groups: set security_group_ids in [isolation]"),
    (&[CERTIFICATE], "the server's certificate: set tls_ca of the resource"),
];

/// What nobody demanded; of the server's certificate only where one was `asked` for, which is when something was read.
pub fn of_instance(probes: &[Probe], asked: bool) -> Vec<String> {
    let is_open = |names: &[&str]| !probes.iter().any(|probe| names.contains(&probe.name.as_str()));
    let is_due = |names: &[&str]| asked || !names.contains(&CERTIFICATE);
    DEMANDS.iter().filter(|(names, _)| is_due(names) && is_open(names)).map(|(_, what)| (*what).to_owned()).collect()
}

/// The look at a certificate that one of `tls_ca` has signed.
pub fn certified() -> Probe {
    Probe { name: CERTIFICATE.to_owned(), expected: "signed by tls_ca".to_owned(), found: "verified".to_owned(), held: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_no_probe_was_not_demanded() {
        let probe = |name: &str| Probe { name: name.into(), expected: String::new(), found: String::new(), held: true };
        assert_eq!(of_instance(&[], false).len(), 2);
        assert_eq!(of_instance(&[], true).len(), 3);
        assert_eq!(of_instance(&[probe("vpc"), probe("security-groups")], false), Vec::<String>::new());
        let found = of_instance(&[probe("subnet-group"), certified()], true);
        assert!(found.len() == 1 && found[0].contains("security_group_ids"), "{found:?}");
    }
}
