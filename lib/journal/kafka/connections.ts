/**
 * Connections to brokers. A broker answers the requests of one connection one after another, so who waits long (fetch, join) has connections of its own:
 * each part has its own `Connections`, one connection a broker, opened when it is first needed and again after it broke.
 */
import { Connection, type Broker, type ConnectionOptions } from '@platformatic/kafka'
import { revealSecret, tlsOptions, type KafkaConfig } from '../../config/index.ts'

const CONNECT_TIMEOUT_MS = 5000

export class Connections {
  readonly #clientId: string
  readonly #options: ConnectionOptions
  readonly #open = new Map<string, Promise<Connection>>()
  #closed = false

  /** @param requestTimeoutMs after it an unanswered connection is closed: the longest that a request may wait at the broker, and more */
  constructor(clientId: string, config: KafkaConfig, requestTimeoutMs: number) {
    this.#clientId = clientId
    this.#options = {
      connectTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: requestTimeoutMs,
      ...(config.tls_config === undefined ? {} : { tls: tlsOptions(config.tls_config) }),
      ...(config.sasl === undefined ? {} : { sasl: saslOptions(config.sasl) }),
    }
  }

  get(broker: Broker): Promise<Connection> {
    if (this.#closed) return Promise.reject(new Error('connections are closed'))
    const key = `${broker.host}:${broker.port}`
    const open = this.#open.get(key)
    if (open !== undefined) return open
    const forget = (): void => {
      if (this.#open.get(key) === connecting) this.#open.delete(key)
    }
    const connecting = this.#connect(broker, forget)
    this.#open.set(key, connecting)
    connecting.catch(forget)
    return connecting
  }

  async #connect(broker: Broker, forget: () => void): Promise<Connection> {
    const connection = new Connection(this.#clientId, this.#options)
    connection.on('error', forget)
    connection.on('close', forget)
    await connection.connect(broker.host, broker.port)
    if (this.#closed) await connection.close()
    return connection
  }

  /** Breaks all of them: requests under way are rejected, the next `get` connects anew. */
  async reset(): Promise<void> {
    const open = [...this.#open.values()]
    this.#open.clear()
    await Promise.all(
      open.map(async (connecting) => {
        const connection = await connecting.catch(() => undefined)
        await connection?.close()
      }),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.reset()
  }
}

function saslOptions(sasl: NonNullable<KafkaConfig['sasl']>): NonNullable<ConnectionOptions['sasl']> {
  return {
    mechanism: sasl.mechanism,
    username: sasl.username,
    password: () => revealSecret(sasl.password, sasl.password_file) ?? '',
  }
}
