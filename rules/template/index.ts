/**
 * Go's text/template, as much as alerts and notifications use: actions, pipelines, variables, if/with/range/define/template/block, and the
 * functions of Prometheus and Alertmanager. Parsing finds unknown functions and variables; running is bounded in steps and output, and can
 * reach nothing but the data it is given. A template that asks queries is run again with the answers.
 */
export { compileAlertTemplate, type AlertTemplate, type AlertTemplateData } from './alert-template.ts'
export { METHODS, type TemplateFunction } from './execute.ts'
export type { TemplateSample } from './functions.ts'
export { NotificationTemplates } from './notification-template.ts'
