/** Logs in a worker's thread when they are kept in Elasticsearch: one connection and one queue for all of its partitions. Queries don't come here: the front asks the shared store itself. */
import type { SignalHost } from '../shard/index.ts'
import { BulkWriter } from './bulk-writer.ts'
import { ElasticConnection } from './connection.ts'
import { LogIndices } from './indices.ts'
import type { ElasticSettings } from './settings.ts'
import { ElasticLogStore } from './store.ts'

export function elasticLogsHost(settings: ElasticSettings): SignalHost {
  let shared: { writer: BulkWriter; indices: LogIndices; connection: ElasticConnection } | undefined
  const open = new Set<object>()
  return {
    signal: 'logs',
    kinds: [],
    async openStore(options, { number, journal, onTrouble }) {
      if (shared === undefined) {
        const connection = new ElasticConnection(settings)
        const indices = new LogIndices(connection)
        shared = {
          connection,
          indices,
          writer: new BulkWriter({ connection, indices, repeatWindowMs: options.limits.repeatWindowMs, onTrouble }),
        }
      }
      const { writer, indices, connection } = shared
      const onClose = async (store: object): Promise<void> => {
        open.delete(store)
        if (open.size > 0) return
        shared = undefined
        await writer.close()
        await connection.close()
      }
      const tellsCounters = (store: object): boolean => open.values().next().value === store
      const place = { journal, partition: number, keepsIndices: number === 0 }
      const store = new ElasticLogStore({ ...options, ...place, writer, indices, tellsCounters, onTrouble, onClose })
      open.add(store)
      return store
    },
  }
}
