//! The core as a whole: from the YAML that a user writes, over a simulated substrate, to plans and status.

#[cfg(test)]
mod autoscaling;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod forecasts;
#[cfg(test)]
mod goldens;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod node;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod specs;
#[cfg(test)]
mod statuses;
mod versions;
#[cfg(test)]
mod words;
#[cfg(test)]
mod world;
