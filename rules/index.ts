/**
 * Prometheus rule groups over a query function that is passed in: recording rules, alerting rules with their states, `ALERTS` series, notices for
 * Alertmanagers. A library: the query program gives it clock, query, append and state log (`query/rules-program.ts`).
 *
 * Within a group rules run one after another, each after the samples of those before it are readable. State that must outlive the process goes
 * to the state log before anybody is told of it. `alertmanager/` is the routing half with its receivers, `template/` the template language.
 */
export { AlertingRule, type ActiveAlert, type AlertState } from './alerting-rule.ts'
export type { AppendSamples, Notice, RuleQuery, RuleSample, SendNotices } from './evaluation.ts'
export { ExternalAlertmanagers, withExternal } from './external.ts'
export { fingerprintOf } from './fingerprint.ts'
export { RuleGroup, type RuleStatus } from './group.ts'
export { loadRuleFiles, type GroupSpec, type ParseExpression, type RuleSpec } from './rule-file.ts'
export { Rules, type RulesConfig, type RulesDeps } from './rules.ts'
export { createSamplesAppender } from './samples-appender.ts'
export { MemoryStateLog, type StateLog } from './state-log.ts'
