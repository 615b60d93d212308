//! The program `portmuster`, run as its users run it: exit status, stdout and stderr.
//!
//! Nothing here leaves this machine: targets are on loopback, or refused by the system before
//! anything is sent.

mod bad_input;
mod colour;
mod compare;
mod corpus;
mod csv_rows;
mod database;
mod demo;
mod diff;
mod exclude_files;
mod excluded_names;
mod explain;
mod facts;
mod faults;
mod forbidden;
mod formats;
mod gates;
mod held_up;
mod help;
mod icmp;
mod input_formats;
mod interrupted;
mod journal;
mod limits;
mod lists;
mod locks;
mod lookups;
mod memory;
mod methods;
mod names;
mod nmap_xml;
mod outputs;
mod pages;
mod pipes;
mod program;
mod progress;
mod proof;
mod real_servers;
mod reserved;
mod resets;
mod resume;
mod resume_identity;
mod row;
mod scarce;
mod servers;
mod shell;
mod signals;
mod sinkholes;
mod sinks;
mod statuses;
mod summary;
mod tampered;
mod terminal;
mod urgent;
