/** The bench's end of a sender process: one question at a time. */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { FromSender, LoadSpec, Sent, ToSender } from './messages.ts'
import type { BodiesSpec } from './metrics-load.ts'

export class SenderProcess {
  readonly #child: ChildProcess = fork(join(import.meta.dirname, 'sender.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })

  /** Makes the slices and keeps them; returns the bytes that will be sent. */
  async prepare(spec: LoadSpec, slices: number): Promise<number> {
    return (await this.#ask({ ask: 'prepare', spec, slices }, 'prepared')).bytes
  }

  send(slice: number, to: string): Promise<Sent> {
    return this.#ask({ ask: 'send', slice, to }, 'sent')
  }

  /** Serves bodies to scrape; returns host and port. */
  async serve(spec: BodiesSpec): Promise<string> {
    return (await this.#ask({ ask: 'serve', spec }, 'serving')).address
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }

  #ask<T extends FromSender['answer']>(message: ToSender, expected: T): Promise<Extract<FromSender, { answer: T }>> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#child.off('message', onMessage)
        this.#child.off('exit', onExit)
      }
      const onMessage = (reply: FromSender): void => {
        done()
        if (reply.answer === expected) resolve(reply as Extract<FromSender, { answer: T }>)
        else reject(new Error(reply.answer === 'failed' ? `the sender failed: ${reply.reason}` : `the sender said ${reply.answer}`))
      }
      const onExit = (code: number | null): void => {
        done()
        reject(new Error(`the sender ended with ${code}`))
      }
      this.#child.on('message', onMessage)
      this.#child.on('exit', onExit)
      this.#child.send(message)
    })
  }
}
