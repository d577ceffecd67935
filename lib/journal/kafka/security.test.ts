import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAll, recordOf } from '../contract.ts'
import type { KafkaConfig } from '../../config/index.ts'
import { kafkaConfigOf, KafkaServer, newPrefix, PATIENCE_MS, openJournal, whyNoKafka } from './kafka.testkit.ts'

const reason = whyNoKafka()

function openssl(dir: string, ...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: dir, encoding: 'utf8' })
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
}

/** A certificate authority of the test's own, and the broker's key and certificate in one PEM file. */
function makeCertificates(dir: string): void {
  const key = ['-newkey', 'rsa:2048', '-nodes']
  openssl(dir, 'req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test CA', '-days', '2')
  openssl(dir, 'req', ...key, '-keyout', 'broker.key', '-out', 'broker.csr', '-subj', '/CN=broker')
  writeFileSync(join(dir, 'names'), 'subjectAltName=IP:127.0.0.1,DNS:kafka.test\n')
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  openssl(dir, 'x509', '-req', '-in', 'broker.csr', '-out', 'broker.crt', ...sign)
  writeFileSync(join(dir, 'broker.pem'), readFileSync(join(dir, 'broker.key'), 'utf8') + readFileSync(join(dir, 'broker.crt'), 'utf8'))
}

describe.skipIf(reason !== undefined)('a broker that wants TLS and SASL', { timeout: PATIENCE_MS }, () => {
  let server: KafkaServer
  let folder = ''

  beforeAll(async () => {
    server = await KafkaServer.start({
      properties(dir, secondPort) {
        folder = dir
        makeCertificates(dir)
        const module = 'org.apache.kafka.common.security'
        return {
          'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
          'extra.listener': `SECURE://127.0.0.1:${secondPort}`,
          'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
          'listener.name.secure.plain.sasl.jaas.config': `${module}.plain.PlainLoginModule required user_alice="alice-secret";`,
          'listener.name.secure.scram-sha-256.sasl.jaas.config': `${module}.scram.ScramLoginModule required;`,
          'listener.name.secure.scram-sha-512.sasl.jaas.config': `${module}.scram.ScramLoginModule required;`,
          'listener.name.secure.ssl.keystore.type': 'PEM',
          'listener.name.secure.ssl.keystore.location': join(dir, 'broker.pem'),
        }
      },
      format: [
        '--add-scram',
        'SCRAM-SHA-256=[name=bob,password=bob-secret]',
        '--add-scram',
        'SCRAM-SHA-512=[name=carol,password=carol-secret]',
      ],
    })
  }, PATIENCE_MS)

  afterAll(async () => {
    await server?.stop()
  })

  function configOf(prefix: string, more: Record<string, unknown>): KafkaConfig {
    return kafkaConfigOf(server, prefix, { brokers: [server.secondBroker], tls_config: { ca_file: join(folder, 'ca.pem') }, ...more })
  }

  test.each([
    ['PLAIN', 'alice'],
    ['SCRAM-SHA-256', 'bob'],
    ['SCRAM-SHA-512', 'carol'],
  ])('%s over TLS: appends and reads, with the password from a file', async (mechanism, username) => {
    const prefix = newPrefix()
    const passwordFile = join(folder, `${username}.password`)
    writeFileSync(passwordFile, `${username}-secret\n`)
    const config = configOf(prefix, { sasl: { mechanism, username, password_file: passwordFile } })
    const journal = await openJournal(server, prefix, { config })
    await journal.append('logs', 0, recordOf('secret'))
    const records = await readAll(journal, [{ signal: 'logs', partition: 0, fromOffset: 0 }])
    expect(records.map(({ payload }) => Buffer.from(payload).toString())).toEqual(['secret'])
    await journal.close()
  })

  test.each(['PLAIN', 'SCRAM-SHA-256'])('a wrong %s password is refused as unauthenticated and not printed', async (mechanism) => {
    const config = configOf('x', { sasl: { mechanism, username: 'alice', password: 'not-it' } })
    const error = await openJournal(server, 'x', { config }).catch((caught: unknown) => caught as Error)
    expect(error).toMatchObject({ kind: 'unauthenticated', message: expect.stringContaining('cannot connect to Kafka') })
    expect((error as Error).message).not.toContain('not-it')
  })

  test('a broker that our CA did not sign for is not trusted, unless told so', async () => {
    const sasl = { mechanism: 'PLAIN', username: 'alice', password: 'alice-secret' }
    const untrusted = configOf('x', { tls_config: {}, sasl })
    await expect(openJournal(server, 'x', { config: untrusted })).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/certificate/),
    })
    const otherName = configOf('x', { tls_config: { ca_file: join(folder, 'ca.pem'), server_name: 'other.test' }, sasl })
    await expect(openJournal(server, 'x', { config: otherName })).rejects.toMatchObject({ message: expect.stringMatching(/altnames/) })
    const prefix = newPrefix()
    const named = configOf(prefix, { tls_config: { ca_file: join(folder, 'ca.pem'), server_name: 'kafka.test' }, sasl })
    await (await openJournal(server, prefix, { config: named })).close()
    const careless = configOf(prefix, { tls_config: { insecure_skip_verify: true }, sasl })
    await (await openJournal(server, prefix, { config: careless })).close()
  })

  test('a client without TLS is told what is missing', async () => {
    const config = kafkaConfigOf(server, 'x', { brokers: [server.secondBroker], request_timeout: '3s' })
    await expect(openJournal(server, 'x', { config })).rejects.toMatchObject({ kind: 'unavailable' })
  })
})
