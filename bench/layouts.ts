/**
 * Layouts: how the measured system is made of processes. A row is a load and a measurement and knows nothing of it; a layout starts the processes and says
 * where the loads go and whose time counts.
 */
import { resolve } from 'node:path'
import type { Broker } from './subjects/broker.ts'
import { fleetOf } from './subjects/fleet.ts'
import { oneProcessOf, type SightlineChoice } from './subjects/sightline.ts'
import type { StartSubject } from './subjects/subject.ts'

/** `broker` gives the run's Kafka, which is started when the first asks for it. */
type Layout = (choice: SightlineChoice, broker: () => Promise<Broker>) => Promise<StartSubject>

export const LAYOUTS: Readonly<Record<string, Layout>> = {
  /** One process, role `all`, journal and stores on its own disk. */
  embedded: async (choice) => oneProcessOf(choice),
  /** A collector that ships over HTTP to a query node. */
  http: async (choice) => fleetOf(choice, { road: 'http', queryNodes: 1 }),
  /** A collector that ships into Kafka's topics, one query node that reads them. */
  kafka: async (choice, broker) => fleetOf(choice, { road: await broker(), queryNodes: 1 }),
  /** The same with two query nodes that share the partitions; the first is asked. */
  'kafka-2': async (choice, broker) => fleetOf(choice, { road: await broker(), queryNodes: 2 }),
}

/** The folder of this checkout. */
export const CHECKOUT = resolve(import.meta.dirname, '..')
