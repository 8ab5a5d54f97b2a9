//! The network, as far as rules let a program reach it: its calls are carried out on its behalf.
//!
//! What Landlock decides by port alone never comes here, and neither does data on connections. What does: connect(2), and sendto(2) with an
//! address, sendmsg(2) and bind(2) where something about them lies in memory that other threads can change. They are done on a duplicate of
//! the caller's socket, with what was read once and decided about (`rules.rs`), outside of the program's own domain, whose Landlock rules
//! refuse it the same call. All of that happens apart from the warden.

mod address;
mod bind;
mod connect;
mod hosts;
mod linger;
mod live;
mod made;
mod message;
mod ports;
mod route;
mod rules;
mod send;
mod socket;
mod unix;
mod waiting;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::error::Result;
use crate::lock::Mutex;

use crate::policy::Access;
use crate::policy::net::reach::Network;
use crate::policy::net::{NetRule, NetRules, Protocol};
use crate::supervisor::{Call, Ground, Reply, Served, Service};
use crate::sys;
use crate::sys::Errno;

use super::Run;
pub(crate) use hosts::Hosts;
use live::Live;
use route::Route;
use rules::Rules;
use send::Form;

/// The network of one sandbox.
pub(crate) struct NetworkService {
    rules: Arc<Rules>,
    reach: Network,
    hosts: Option<Arc<Hosts>>,
    route: Route,
    /// Rules and /etc/hosts change one after the other, and together.
    changes: Mutex<()>,
    name: fn(u32) -> Option<&'static str>,
}

impl NetworkService {
    pub(crate) fn new(run: &Run<'_>) -> Self {
        let live = Live::new(&run.policy.network, run.addresses);
        let reach = run.network.unwrap_or(Network::CLOSED);
        // Threads that serve have what privileges this one has.
        let like_the_program = run.keeps_capabilities || !sys::credentials::has_capabilities();
        let writable = run.restricts_files.then(|| run.grants(Access::writes));
        let rules = Arc::new(Rules::new(live, reach, like_the_program, writable));
        Self {
            reach,
            hosts: run.hosts.clone().filter(|_| reach.names),
            route: Route::new(rules.made.clone()),
            rules,
            changes: Mutex::new(()),
            name: run.name,
        }
    }

    /// From now on these rules count for what is connected or sent, as far as those that the sandbox was started with allow it.
    /// `addresses`: where hosts are that they name.
    pub(crate) fn update(&self, rules: NetRules, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Result<()> {
        let _turn = self.changes.lock();
        let known = self.rules.live.update(rules, addresses);
        self.tell_names(&known)
    }

    /// Hosts have moved.
    pub(crate) fn renew(&self, addresses: BTreeMap<String, Vec<IpAddr>>) -> Result<()> {
        let _turn = self.changes.lock();
        let known = self.rules.live.renew(addresses);
        self.tell_names(&known)
    }

    /// What the policy allows.
    pub(crate) fn allowed_at_start(&self) -> Vec<NetRule> {
        self.rules.live.allowed_at_start()
    }

    /// Hosts in `rules` of which it is not known where they are.
    pub(crate) fn unknown_names(&self, rules: &NetRules) -> Vec<String> {
        self.rules.live.unknown_names(rules)
    }

    /// The ports of the sandbox that are bound to now: protocol, its own number, the host's.
    pub(crate) fn ports(&self) -> Result<Vec<(Protocol, u16, u16)>> {
        self.rules.ports.as_ref().map_or(Ok(Vec::new()), ports::Ports::list)
    }

    fn tell_names(&self, known: &BTreeMap<String, Vec<IpAddr>>) -> Result<()> {
        self.hosts.as_ref().map_or(Ok(()), |hosts| hosts.replace(known))
    }

    fn name_of(&self, call: &Call) -> &'static str {
        let number = u32::try_from(call.received().number).ok();
        number.and_then(self.name).unwrap_or_default()
    }

    /// What becomes of a call if it is about a socket of rtnetlink.
    fn serve_netlink(&self, name: &str, call: &Call, ground: Ground) -> Served {
        /// The length of their addresses, and of no others.
        const LENGTH: u64 = 12;
        let [_, _, length, ..] = call.received().arguments;
        match name {
            _ if !self.reach.netlink => Served::Pass,
            "socket" => self.route.open(call, ground),
            "bind" if length == LENGTH => self.route.bind(call, ground),
            "connect" if length == LENGTH => self.route.connect(call, ground),
            "getsockname" => self.route.getsockname(call, ground),
            "recvfrom" => self.route.receive(call),
            _ => Served::Pass,
        }
    }

    /// True if the call is carried out here. Others of the same name may come because somebody looks on; the kernel alone decides about them,
    /// by what the filter has let through.
    fn carries_out(&self, name: &str, call: &Call) -> bool {
        match name {
            "connect" => self.reach.serves_connections(),
            "bind" => self.reach.serves_bindings(),
            "listen" => self.reach.serves_listening(),
            // Without an address it goes to whom the socket is connected to.
            "sendto" => self.reach.serves_datagrams() && call.received().arguments[4] != 0,
            "sendmsg" | "sendmmsg" => self.reach.serves_datagrams(),
            "setsockopt" => self.reach.takes_sockets() && linger::is_about(call),
            "socket" => made::is_about(self.reach, call),
            _ => false,
        }
    }
}

impl Service for NetworkService {
    fn serve(&self, call: &Call, ground: Ground) -> Served {
        let name = self.name_of(call);
        if let Some(hosts) = self.hosts.as_ref().filter(|_| hosts::CALLS.contains(&name)) {
            return if ground.is_wardens() {
                Served::Apart
            } else {
                hosts.open(name, call)
            };
        }
        match self.serve_netlink(name, call, ground) {
            Served::Pass if self.carries_out(name, call) => {}
            Served::Pass => {
                let ports = self.rules.ports.as_ref();
                return ports.map_or(Served::Pass, |ports| ports.serve(name, call, ground));
            }
            served => return served,
        }
        match ground {
            Ground::Apart | Ground::UnscopedApart => Served::Taken,
            // A socket can be locked for as long as the program likes.
            Ground::Free | Ground::Warden | Ground::Unscoped => Served::Apart,
        }
    }

    fn take(&self, call: Call) {
        let name = self.name_of(&call);
        if let Some(made) = &self.rules.made {
            if name == "socket" {
                return made::serve(&self.rules, made, &call);
            }
            if made::serve_absent(&self.rules, made, name, &call) {
                return;
            }
        }
        match name {
            "connect" => connect::serve(&self.rules, call),
            "bind" => bind::serve(&self.rules, &call),
            "accept" => ports::accept(&self.rules, call, 0),
            "accept4" => {
                let flags = call.received().arguments[3];
                ports::accept(&self.rules, call, flags);
            }
            "listen" => bind::serve_listen(&self.rules, &call),
            "sendto" => send::serve(&self.rules, call, Form::To),
            "sendmsg" => send::serve(&self.rules, call, Form::Message),
            "setsockopt" => linger::serve(&self.rules, &call),
            "sendmmsg" => send::serve(&self.rules, call, Form::Messages),
            // Dropped, and so denied.
            _ => {}
        }
    }
}

const DENIED: u16 = 1;
const _: () = assert!(DENIED as i32 == libc::EPERM);

/// Answers a call.
fn answer(call: &Call, outcome: sys::Result<i64>) {
    let reply = match outcome {
        Ok(value) => Reply::Value(value),
        // What is no errno would be no answer, and the call denied.
        Err(Errno(errno)) => Reply::Errno(u16::try_from(errno).unwrap_or(DENIED)),
    };
    // An error means that the caller is gone.
    let _ = call.answer(reply);
}
