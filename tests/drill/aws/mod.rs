//! Drills over the stand-in AWS, as a person runs them: restores through AWS Backup, RDS and DynamoDB, planted damage and lying jobs, kills
//! at records of the journal; and the contract that every restore driver keeps. Databases are skipped visibly where no server is
//! installed, unless `ATTESTORE_REQUIRE` names `postgres`, `mariadb` or `mysql`.

mod access_points;
mod between;
mod clocks;
mod drills;
mod drivers;
mod estate;
mod instances;
mod items;
mod kills;
mod late;
mod listings;
mod point_in_time;
mod seconds;
mod signals;
mod tables;
mod tokens;
