/** How much each tenant may append a second: a bucket a tenant, filled with time, one second deep. */
import type { Clock } from '../../lib/runtime/clock.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'

/** Tenants remembered; one that is forgotten starts with a full bucket. */
const TENANTS_MAX = 10_000

interface Bucket {
  bytes: number
  filledMs: number
}

export class TenantRates {
  readonly #bytesPerSecond: (tenant: string) => number
  readonly #clock: Clock
  readonly #buckets = new Map<string, Bucket>()

  constructor(bytesPerSecond: (tenant: string) => number, clock: Clock) {
    this.#bytesPerSecond = bytesPerSecond
    this.#clock = clock
  }

  /** Errors: too_many with the time after which there is room. A request larger than the bucket passes when the bucket is full. */
  take(tenant: string, bytes: number): void {
    const rate = this.#bytesPerSecond(tenant)
    if (rate === 0) return
    const nowMs = this.#clock.now()
    const bucket = this.#buckets.get(tenant) ?? { bytes: rate, filledMs: nowMs }
    bucket.bytes = Math.min(rate, bucket.bytes + ((nowMs - bucket.filledMs) * rate) / 1000)
    bucket.filledMs = nowMs
    this.#buckets.delete(tenant)
    this.#buckets.set(tenant, bucket)
    if (this.#buckets.size > TENANTS_MAX) this.#buckets.delete(this.#buckets.keys().next().value!)
    if (bucket.bytes < Math.min(bytes, rate)) {
      const retryAfterMs = Math.ceil(((Math.min(bytes, rate) - bucket.bytes) / rate) * 1000)
      throw new SightlineError('too_many', `cannot append ${bytes} bytes: tenant "${tenant}" is limited to ${rate} bytes a second`, {
        retryAfterMs,
      })
    }
    bucket.bytes -= bytes
  }
}
