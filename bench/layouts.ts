/**
 * Layouts: how the measured system is made of processes. A row is a load and a measurement and knows nothing of it; a layout starts the processes and says
 * where the loads go and whose time counts.
 */
import { resolve } from 'node:path'
import { sightlineOf } from './subjects/sightline.ts'
import type { StartSubject } from './subjects/subject.ts'

export const LAYOUTS: Readonly<Record<string, (name: string, checkout: string, version: string) => StartSubject>> = {
  /** One process, role `all`, journal and stores on its own disk. */
  embedded: sightlineOf,
}

/** The folder of this checkout. */
export const CHECKOUT = resolve(import.meta.dirname, '..')
