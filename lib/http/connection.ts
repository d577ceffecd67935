/**
 * Connections that read into memory that is used again. Node gives each read of a connection 64 KiB of its own, and garbage collections come by the bytes
 * allocated: of a process that scrapes, this was most of what it allocated.
 */
import { Agent, type ClientRequestArgs } from 'node:http'
import { connect, type NetConnectOpts, type Socket } from 'node:net'

const READ_BYTES = 64 * 1024

/** Its answers are to be read with `readAnswer`: a chunk is good only while it is handed in. */
export class ReadingAgent extends Agent {
  /** One for all connections: a read ends, and what it brought is parsed, before the next begins. */
  readonly #memory = Buffer.allocUnsafeSlow(READ_BYTES)

  override createConnection(options: ClientRequestArgs): Socket {
    const read = (bytes: number, memory: Uint8Array): boolean => {
      socket.emit('data', Buffer.from(memory.buffer, memory.byteOffset, bytes))
      return true
    }
    const socket = connect({ ...(options as NetConnectOpts), onread: { buffer: this.#memory, callback: read } })
    return socket
  }
}
