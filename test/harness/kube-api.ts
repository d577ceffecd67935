/** A real Kubernetes API of one's own: etcd and kube-apiserver on loopback, without controllers and nodes. What is created is checked and stored; no pod ever runs. */
import { spawn, type ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { freePorts } from './sightline.ts'

const TOKEN = 'admintoken'
const READY_MS = 90_000

export interface KubeAnswer {
  readonly status: number
  readonly body: Record<string, unknown> & { readonly message?: string }
}

export class KubeApi {
  readonly url: string
  readonly #folder: string
  readonly #children: readonly ChildProcess[]

  private constructor(url: string, folder: string, children: readonly ChildProcess[]) {
    this.url = url
    this.#folder = folder
    this.#children = children
  }

  static async start(programs: { readonly apiserver: string; readonly etcd: string }): Promise<KubeApi> {
    const folder = mkdtempSync(join(tmpdir(), 'sightline-kube-'))
    const [port, etcdPort, peerPort] = await freePorts(3)
    const pki = join(folder, 'pki')
    mkdirSync(pki)
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    writeFileSync(join(pki, 'sa.key'), privateKey)
    writeFileSync(join(pki, 'tokens.csv'), `${TOKEN},admin,admin,system:masters\n`)
    const etcdUrl = `http://127.0.0.1:${etcdPort}`
    const peerUrl = `http://127.0.0.1:${peerPort}`
    const etcd = spawn(
      programs.etcd,
      [
        `--data-dir=${join(folder, 'etcd')}`,
        `--listen-client-urls=${etcdUrl}`,
        `--advertise-client-urls=${etcdUrl}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=default=${peerUrl}`,
      ],
      { stdio: 'ignore' },
    )
    const apiserver = spawn(
      programs.apiserver,
      [
        `--etcd-servers=${etcdUrl}`,
        '--bind-address=127.0.0.1',
        '--advertise-address=127.0.0.1',
        `--secure-port=${port}`,
        `--cert-dir=${pki}`,
        '--service-account-issuer=https://kubernetes.default',
        `--service-account-key-file=${join(pki, 'sa.key')}`,
        `--service-account-signing-key-file=${join(pki, 'sa.key')}`,
        '--service-cluster-ip-range=10.0.0.0/24',
        '--authorization-mode=RBAC',
        `--token-auth-file=${join(pki, 'tokens.csv')}`,
        // Its controller would have to make the accounts' tokens.
        '--disable-admission-plugins=ServiceAccount',
      ],
      { stdio: 'ignore' },
    )
    const api = new KubeApi(`https://127.0.0.1:${port}`, folder, [apiserver, etcd])
    try {
      await eventually(async () => {
        const { status } = await api.ask('GET', '/readyz')
        if (status !== 200) throw new Error(`kube-apiserver answers ${status}`)
      }, READY_MS)
    } catch (error) {
      api.stop()
      throw error
    }
    return api
  }

  /** Helm's flags to reach it. */
  get helmFlags(): string[] {
    return ['--kube-apiserver', this.url, '--kube-token', TOKEN, '--kube-insecure-skip-tls-verify']
  }

  ask(method: string, path: string, body?: object, contentType = 'application/json'): Promise<KubeAnswer> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': contentType }
      const asked = request(`${this.url}${path}`, { method, headers, rejectUnauthorized: false }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({
            status: response.statusCode!,
            body: text.startsWith('{') ? (JSON.parse(text) as KubeAnswer['body']) : { message: text },
          })
        })
      })
      asked.on('error', reject)
      asked.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10 })
  }
}
