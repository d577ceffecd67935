/** The inside of a shard's thread: messages in, a local shard, messages out. `worker.ts` is the shell that is started. */
import type { MessagePort } from 'node:worker_threads'
import { kindOf, messageOf } from '../../lib/runtime/errors.ts'
import type { JournalRecord } from '../../lib/journal/index.ts'
import type { DataSignal } from './fragment.ts'
import { LocalShard, type ShardOptions, type SignalHost } from './local-shard.ts'
import type { FromWorker, ToWorker } from './messages.ts'

export async function hostShard(port: MessagePort, options: ShardOptions, hosts: readonly SignalHost[]): Promise<void> {
  const send = (message: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer)
  const queries = new Map<number, AbortController>()
  const appliedBytes = new Map<DataSignal, number>()
  const commits = new Map<number, (accepted: boolean | undefined) => void>()
  let nextCommit = 1

  let shard: LocalShard
  try {
    shard = await LocalShard.open(options, hosts, {
      onCheckpoint: (key, offset) => send({ t: 'checkpointed', key, offset }),
      onError: (error, where) => send({ t: 'trouble', message: messageOf(error), where }),
      commit: (key, mark) =>
        new Promise((resolve) => {
          commits.set(nextCommit, resolve)
          send({ t: 'commit', commit: nextCommit++, key, mark })
        }),
    })
  } catch (error) {
    send({ t: 'failed', kind: kindOf(error), message: messageOf(error) })
    return
  }

  /** One message a signal for all records of a turn of the event loop. */
  const noteApplied = ({ signal, payload }: JournalRecord): void => {
    const key = signal as DataSignal
    if (appliedBytes.size === 0) {
      setImmediate(() => {
        for (const [of, bytes] of appliedBytes) send({ t: 'applied', signal: of, bytes })
        appliedBytes.clear()
      })
    }
    appliedBytes.set(key, (appliedBytes.get(key) ?? 0) + payload.length)
  }

  /** A store that is full has not applied the record yet: the front counts it as on the way, and pushes back. */
  const append = (record: JournalRecord): void => {
    shard.append(record)
    const room = shard.room(record)
    if (room === undefined) noteApplied(record)
    else void room.then(() => noteApplied(record))
  }

  const answer = async (
    id: number,
    work: () => Promise<unknown>,
    transferOf: (answer: unknown) => ArrayBuffer[] = () => [],
  ): Promise<void> => {
    try {
      const value = await work()
      send({ t: 'answer', id, answer: value }, transferOf(value))
    } catch (error) {
      send({ t: 'error', id, kind: kindOf(error), message: messageOf(error) })
    }
  }

  const query = (message: Extract<ToWorker, { t: 'query' }>): void => {
    const controller = new AbortController()
    queries.set(message.id, controller)
    void answer(
      message.id,
      () => shard.query(message.kind, message.tenant, message.request, controller.signal),
      (value) => shard.transferOf(message.kind, value),
    ).finally(() => queries.delete(message.id))
  }

  port.on('message', (message: ToWorker) => {
    switch (message.t) {
      case 'append':
        return append(message.record)
      case 'query':
        return query(message)
      case 'cancel':
        return queries.get(message.id)?.abort()
      case 'retain':
        return void answer(message.id, async () => shard.retain(message.cutoffs))
      case 'status':
        return void answer(message.id, async () => shard.status())
      case 'checkpoint':
        return void answer(message.id, () => shard.checkpointAll())
      case 'own':
        return void answer(message.id, () => shard.own(message.numbers, message.marks))
      case 'decide':
        return void answer(message.id, () => shard.decide(message.marks))
      case 'handOver':
        return void answer(message.id, () => shard.handOver(message.numbers))
      case 'lose':
        return void answer(message.id, () => shard.lose(message.numbers))
      case 'producers':
        return void answer(message.id, async () => shard.producerCounts())
      case 'holdings':
        return void answer(message.id, async () => shard.holdings())
      case 'committed':
        commits.get(message.commit)?.(message.accepted)
        return void commits.delete(message.commit)
      case 'close':
        return void answer(message.id, () => shard.close()).then(() => port.close())
    }
  })
  send({ t: 'ready', opened: shard.opened() })
}
