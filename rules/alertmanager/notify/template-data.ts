/** What a notification's templates see, and the alerts of a group in common. Source: Alertmanager `template/template.go`. */
import { labelsToObject, type Labels } from '../../../lib/model/index.ts'
import { METHODS, type TemplateFunction } from '../../template/index.ts'

/** One alert of a notification. `endsAtMs` counts where it is resolved. */
export interface NotifiedAlert {
  readonly fingerprint: string
  readonly labels: Labels
  readonly annotations: Readonly<Record<string, string>>
  readonly startsAtMs: number
  readonly endsAtMs: number
  readonly isResolved: boolean
  readonly generatorUrl: string
}

export interface Notification {
  readonly receiver: string
  readonly groupKey: string
  readonly groupLabels: Labels
  readonly externalUrl: string
  readonly alerts: readonly NotifiedAlert[]
}

export function statusOf({ alerts }: Notification): 'firing' | 'resolved' {
  return alerts.some(({ isResolved }) => !isResolved) ? 'firing' : 'resolved'
}

/** The pairs that every record has. */
export function commonOf(records: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const [first = {}, ...rest] = records
  return Object.fromEntries(Object.entries(first).filter(([name, value]) => rest.every((other) => other[name] === value)))
}

export function templateData(notification: Notification): Readonly<Record<string, unknown>> {
  const { receiver, alerts, groupLabels, externalUrl } = notification
  return {
    Receiver: receiver,
    Status: statusOf(notification),
    Alerts: alertList(alerts.map(alertData)),
    GroupLabels: pairMap(labelsToObject(groupLabels)),
    CommonLabels: pairMap(commonOf(alerts.map(({ labels }) => labelsToObject(labels)))),
    CommonAnnotations: pairMap(commonOf(alerts.map(({ annotations }) => annotations))),
    ExternalURL: externalUrl,
  }
}

interface AlertData {
  readonly Status: string
}

function alertData(alert: NotifiedAlert): AlertData {
  return {
    Status: alert.isResolved ? 'resolved' : 'firing',
    Labels: pairMap(labelsToObject(alert.labels)),
    Annotations: pairMap(alert.annotations),
    StartsAt: new Date(alert.startsAtMs),
    EndsAt: new Date(alert.isResolved ? alert.endsAtMs : 0),
    GeneratorURL: alert.generatorUrl,
    Fingerprint: alert.fingerprint,
  } as AlertData
}

function alertList(alerts: readonly AlertData[]): unknown[] {
  return withMethods([...alerts], {
    Firing: () => alerts.filter(({ Status }) => Status === 'firing'),
    Resolved: () => alerts.filter(({ Status }) => Status === 'resolved'),
  })
}

function pairMap(record: Readonly<Record<string, string>>): Map<string, string> {
  // `alertname` comes first, the others by name.
  const names = Object.keys(record).sort((a, b) => (a === 'alertname' ? -1 : b === 'alertname' ? 1 : a < b ? -1 : 1))
  const pairs = (): unknown[] =>
    withMethods(
      names.map((Name) => ({ Name, Value: record[Name]! })),
      { Names: () => names, Values: () => names.map((name) => record[name]!) },
    )
  return withMethods(new Map(names.map((name) => [name, record[name]!])), {
    SortedPairs: pairs,
    Names: () => names,
    Values: () => names.map((name) => record[name]!),
    Remove: (gone) => pairMap(Object.fromEntries(Object.entries(record).filter(([name]) => !(gone as string[]).includes(name)))),
  })
}

function withMethods<T extends object>(value: T, methods: Readonly<Record<string, TemplateFunction>>): T {
  Object.defineProperty(value, METHODS, { value: methods })
  return value
}
