/** What the bench and its sender, a process of its own, say to each other. */
import type { BodiesSpec, MetricsSpec } from './metrics-load.ts'
import type { LinesSpec } from './lines.ts'
import type { SpansSpec } from './spans.ts'

export type LoadSpec = MetricsSpec | LinesSpec | SpansSpec

export type ToSender =
  | { readonly ask: 'prepare'; readonly spec: LoadSpec; readonly slices: number }
  /** Sends a slice to an address, or puts its files into a folder. */
  | { readonly ask: 'send'; readonly slice: number; readonly to: string }
  /** Listens and answers each GET of `/t<target>` with the target's next body. */
  | { readonly ask: 'serve'; readonly spec: BodiesSpec }

export type FromSender =
  | { readonly answer: 'prepared'; readonly bytes: number }
  | Sent
  | { readonly answer: 'serving'; readonly address: string }
  | { readonly answer: 'failed'; readonly reason: string }

export interface Sent {
  readonly answer: 'sent'
  readonly items: number
  readonly wallMs: number
  readonly requests: number
  /** Requests that weren't answered with 2xx, and what the first of them was told. */
  readonly refused: number
  readonly firstRefusal: string
}
