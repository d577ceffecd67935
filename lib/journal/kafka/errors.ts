/** What Kafka's error codes and the client library's errors mean to us. */
import { protocolErrors, protocolErrorsCodesById } from '@platformatic/kafka'
import { messageOf, SightlineError, type ErrorKind } from '../../runtime/errors.ts'

/** The codes of the protocol that we act on; any other is looked up by number. */
export const CODE = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  messageTooLarge: 10,
  coordinatorLoading: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  recordListTooLarge: 18,
  illegalGeneration: 22,
  unknownMember: 25,
  rebalanceInProgress: 27,
  topicExists: 36,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  invalidProducerEpoch: 47,
  unknownProducer: 59,
  memberIdRequired: 79,
  fencedInstance: 82,
  unknownTopicId: 100,
} as const

export function nameOfCode(code: number): string {
  return protocolErrorsCodesById[code] ?? `error ${code}`
}

/** A request that got this code may succeed later, as it is. */
export function isRetriable(code: number): boolean {
  return code === CODE.unknownTopicId || (protocolErrors[nameOfCode(code)]?.canRetry ?? false)
}

export function isCoordinatorElsewhere(code: number): boolean {
  return code === CODE.coordinatorLoading || code === CODE.coordinatorNotAvailable || code === CODE.notCoordinator
}

/** The answer of a request, also where it holds error codes: the library throws those, the caller here looks at each of them. */
export async function answerOf<T>(request: Promise<T>): Promise<T> {
  try {
    return await request
  } catch (error) {
    const answer = (error as { response?: T }).response
    if (answer === undefined) throw error
    return answer
  }
}

/** The first message of each level: `Connection to kafka:9092 failed.: connect ECONNREFUSED …`. */
export function causeOf(error: unknown): string {
  const messages: string[] = []
  for (let at: unknown = error; at !== undefined && at !== null && messages.length < 5;) {
    messages.push(messageOf(at).replace(/\.$/, ''))
    at = at instanceof AggregateError && at.errors.length > 0 ? at.errors[0] : at instanceof Error ? at.cause : undefined
  }
  return [...new Set(messages)].join(': ')
}

/** `unavailable`, or `unauthenticated` where the broker refused who we are. */
export function requestError(what: string, error: unknown): SightlineError {
  if (error instanceof SightlineError) return error
  return new SightlineError(isAuthentication(error) ? 'unauthenticated' : 'unavailable', `cannot ${what}: ${causeOf(error)}`, {
    cause: error,
    retryAfterMs: 1000,
  })
}

export function codeError(what: string, code: number, detail?: string | null): SightlineError {
  const name = nameOfCode(code)
  const kind: ErrorKind = name.endsWith('AUTHORIZATION_FAILED') ? 'forbidden' : 'unavailable'
  const text = detail ?? protocolErrors[name]?.message ?? ''
  return new SightlineError(kind, `cannot ${what}: ${name}${text === '' ? '' : ` (${text})`}`, { retryAfterMs: 1000 })
}

function isAuthentication(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; depth++) {
    if ((at as { code?: unknown }).code === 'PLT_KFK_AUTHENTICATION') return true
    at = at instanceof AggregateError && at.errors.length > 0 ? at.errors[0] : at.cause
  }
  return false
}

/** An offset of the protocol as a number, exact to 2^53. */
export function offsetOf(value: bigint): number {
  const offset = Number(value)
  if (!Number.isSafeInteger(offset)) throw new SightlineError('internal', `cannot use Kafka offset ${value}: it is past 2^53`)
  return offset
}
