//! The members' policies, as compiled by this frontend.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::OnceCell;
use vigie_consortium::{MemberPolicies, Policy, PolicyVersion};
use vigie_model::{Decided, MemberId, Verdict};
use vigie_policy::CompiledPolicy;

use crate::request::classifying::rules::Thresholds;

/// A compiled version of a policy.
#[derive(Debug)]
pub(super) struct Compiled {
    /// The number of the version.
    pub(super) version: u32,
    /// The rules; `None` if neither this version nor an earlier one compiles in this frontend.
    pub(super) policy: Option<Arc<CompiledPolicy>>,
    /// The policy as its member wrote it, of the version above; its score rules are applied as written.
    pub(super) source: Arc<Policy>,
    /// The version that the member has set, if this frontend cannot compile it and decides by an earlier one.
    pub(super) not_compiled: Option<u32>,
}

/// The compiled policies of all members. Members are few, and bounded by the directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policies {
    held: Arc<Mutex<HashMap<(MemberId, Use), Held>>>,
    pub(super) thresholds: Thresholds,
    counted: Counted,
}

/// The purpose of a policy version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Use {
    /// The version decides.
    Current,
    /// The version's verdicts are counted beside those of the version that decides.
    Trial,
}

#[derive(Debug, Clone)]
struct Held {
    /// The version in the directory's row.
    version: PolicyVersion,
    compiled: Arc<OnceCell<Arc<Compiled>>>,
    /// The newest version before this one that compiled.
    before: Option<Arc<Compiled>>,
}

/// Counters of decisions by verdict, and of decisions whose rules failed.
#[derive(Debug, Clone, Default)]
struct Counted {
    decisions: Family<OfVerdict, Counter>,
    failures: Counter,
    trials: Family<OfTrial, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfVerdict {
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTrial {
    /// The verdict that was answered.
    verdict: &'static str,
    /// The verdict of the trial version.
    trial: &'static str,
}

impl Policies {
    /// Registers the counters.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let policies = Self::default();
        // Every verdict is registered at zero, because dashboards query them.
        for verdict in Verdict::ALL {
            drop(policies.counted.decisions.get_or_create(&OfVerdict { verdict: verdict.name() }));
        }
        registry.register(
            "vigie_frontend_decisions",
            "Decisions by policies of members, by verdict",
            policies.counted.decisions.clone(),
        );
        registry.register(
            "vigie_frontend_decision_failures",
            "Decisions that are REVIEW at least because a rule failed or the answer lacked something",
            policies.counted.failures.clone(),
        );
        registry.register(
            "vigie_frontend_trial_decisions",
            "Decisions of members that try another version of their policy, by the verdict that was answered and that of the trial",
            policies.counted.trials.clone(),
        );
        policies
    }

    /// Counts a decision.
    pub(super) fn count(&self, decided: &Decided) {
        self.counted.decisions.get_or_create(&OfVerdict { verdict: decided.verdict.name() }).inc();
        if decided.failure.is_some() {
            self.counted.failures.inc();
        }
    }

    /// Counts the verdict of a trial version beside a decision.
    pub(super) fn count_trial(&self, decided: &Decided, trial: &Decided) {
        let of = OfTrial { verdict: decided.verdict.name(), trial: trial.verdict.name() };
        self.counted.trials.get_or_create(&of).inc();
    }

    /// Returns the current policy of a member, compiled; `None` if it has none.
    pub(super) async fn current(&self, member: MemberId, of: &MemberPolicies) -> Option<Arc<Compiled>> {
        Some(self.compiled(member, Use::Current, of.current.as_ref()?).await)
    }

    /// Returns the trial version of a member, compiled; `None` if there is none, or this frontend cannot
    /// compile it.
    pub(super) async fn trial(&self, member: MemberId, of: &MemberPolicies) -> Option<Arc<Compiled>> {
        let compiled = self.compiled(member, Use::Trial, of.trial.as_ref()?).await;
        (compiled.not_compiled.is_none()).then_some(compiled)
    }

    async fn compiled(&self, member: MemberId, of: Use, version: &PolicyVersion) -> Arc<Compiled> {
        let held = self.held((member, of), version);
        let compiled = held.compiled.get_or_init(|| compile(member, version.clone(), held.before.clone()));
        Arc::clone(compiled.await)
    }

    fn held(&self, key: (MemberId, Use), version: &PolicyVersion) -> Held {
        // No code that holds this lock can panic between two changes.
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |held: &&Held| {
            held.version.version == version.version && Arc::ptr_eq(&held.version.policy, &version.policy)
        };
        if let Some(held) = all.get(&key).filter(is_it) {
            return held.clone();
        }
        let before = all.get(&key).and_then(|held| match held.compiled.get() {
            Some(compiled) if compiled.policy.is_some() => Some(Arc::clone(compiled)),
            Some(_) | None => held.before.clone(),
        });
        let held = Held { version: version.clone(), compiled: Arc::default(), before };
        all.insert(key, held.clone());
        held
    }
}

/// Compiles a version on a blocking thread.
async fn compile(member: MemberId, version: PolicyVersion, before: Option<Arc<Compiled>>) -> Arc<Compiled> {
    let (number, source) = (version.version, Arc::clone(&version.policy));
    let compiled = tokio::task::spawn_blocking(move || CompiledPolicy::compile(&version.policy)).await;
    match compiled {
        Ok(Ok(policy)) => {
            let policy = Some(Arc::new(policy));
            Arc::new(Compiled { version: number, policy, source, not_compiled: None })
        }
        Ok(Err(_)) | Err(_) => {
            // The bank has compiled this version, so the cause is another version of Vigie, or a fault.
            tracing::error!(%member, version = number, "a policy does not compile here; the one before decides");
            let before = before.and_then(|before| {
                let Compiled { version, policy, source, .. } = &*before;
                Some((*version, Arc::clone(policy.as_ref()?), Arc::clone(source)))
            });
            Arc::new(match before {
                Some((version, policy, source)) => {
                    Compiled { version, policy: Some(policy), source, not_compiled: Some(number) }
                }
                None => Compiled { version: number, policy: None, source, not_compiled: Some(number) },
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use vigie_consortium::{PolicyDraft, Verdict, VerdictRuleDraft};

    use super::*;

    fn policy(condition: &str) -> Arc<Policy> {
        let rule = VerdictRuleDraft {
            name: "one".to_owned(),
            condition: condition.to_owned(),
            verdict: Verdict::Block,
            shadow: false,
        };
        Arc::new(Policy::try_from(PolicyDraft { rules: vec![rule], ..PolicyDraft::default() }).unwrap())
    }

    #[tokio::test]
    async fn a_policy_is_compiled_once_and_one_that_does_not_compile_leaves_the_one_before() {
        let (policies, member) = (Policies::default(), MemberId(3));
        let none = MemberPolicies::default();
        assert!(policies.current(member, &none).await.is_none());
        let broken = none.with(policy("nothing.of.this"), false);
        let first = policies.current(member, &broken).await.unwrap();
        assert!(first.policy.is_none() && first.not_compiled == Some(1));
        let good = broken.with(policy("matches.size() > 0"), false);
        let second = policies.current(member, &good).await.unwrap();
        assert_eq!((second.version, second.not_compiled, second.policy.is_some()), (2, None, true));
        assert!(Arc::ptr_eq(&second, &policies.current(member, &good).await.unwrap()));
        let broken_again = good.with(policy("nothing.of.this"), false);
        let third = policies.current(member, &broken_again).await.unwrap();
        assert_eq!((third.version, third.not_compiled, third.policy.is_some()), (2, Some(3), true));
        // A trial version is compiled beside the version that decides.
        assert!(policies.trial(member, &good).await.is_none());
        let tried = good.with(policy("matches.size() > 1"), true);
        let trial = policies.trial(member, &tried).await.unwrap();
        assert_eq!((trial.version, trial.policy.is_some()), (3, true));
        assert_eq!(policies.current(member, &tried).await.unwrap().version, 2);
        let broken_trial = tried.with(policy("nothing.of.this"), true);
        assert!(policies.trial(member, &broken_trial).await.is_none());
        // Another member has its own policy.
        assert!(policies.current(MemberId(4), &none).await.is_none());
    }
}
