//! rtnetlink
mod answer;
mod facts;
mod message;
