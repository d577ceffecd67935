/** What nodes say to each other: fragments and their answers, as V8's structured clone. */
import { deserialize, serialize } from 'node:v8'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { Holding } from '../shard/index.ts'

export interface FragmentCall {
  readonly kind: string
  readonly request: unknown
}

export interface FragmentAnswer {
  readonly answer: unknown
  /** For kinds that need whole series; taken after the answer was made. */
  readonly holdings: readonly Holding[] | undefined
}

/** Ours and theirs must agree on it; a node of another version is not asked. */
const VERSION = 1

export function encodeFragmentCall(call: FragmentCall): Buffer {
  return serialize({ v: VERSION, ...call })
}

/** Errors: bad_data for anything else. */
export function decodeFragmentCall(bytes: Buffer): FragmentCall {
  const call = decode(bytes) as { v?: number; kind?: unknown; request?: unknown } | undefined
  if (call?.v !== VERSION || typeof call.kind !== 'string')
    throw new SightlineError('bad_data', 'cannot read the fragment: unknown version')
  return { kind: call.kind, request: call.request }
}

export function encodeFragmentAnswer(answer: FragmentAnswer): Buffer {
  return serialize({ v: VERSION, ...answer })
}

/** Errors: bad_data. */
export function decodeFragmentAnswer(bytes: Buffer): FragmentAnswer {
  const answer = decode(bytes) as { v?: number; answer?: unknown; holdings?: readonly Holding[] } | undefined
  if (answer?.v !== VERSION) throw new SightlineError('bad_data', 'cannot read the answer of a node: unknown version')
  return { answer: answer.answer, holdings: answer.holdings }
}

function decode(bytes: Buffer): unknown {
  try {
    const value: unknown = deserialize(bytes)
    return value !== null && typeof value === 'object' ? value : undefined
  } catch {
    return undefined
  }
}
