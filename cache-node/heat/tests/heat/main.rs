//! Each structure against a slow and obvious twin, and under the loads that it is for.

#[cfg(test)]
#[cfg(test)]
mod histogram;
#[cfg(test)]
mod hot_keys;
#[cfg(test)]
mod loads;
#[cfg(test)]
mod slots;
#[cfg(test)]
mod stampedes;
