/**
 * The real Helm, built once from its Go module into the folder that all checkouts share (`SIGHTLINE_TEST_SERVERS`, else below /var/tmp): about two minutes
 * the first time, at low priority, so that tests that run beside it keep their time.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { lockFolder, type FolderLock } from '../../lib/runtime/lock.ts'
import { eventually } from './eventually.ts'

export const SERVERS_DIR = process.env['SIGHTLINE_TEST_SERVERS'] ?? '/var/tmp/sightline-test-servers'
const VERSION = '3.22.0'
/** Helm that wasn't built by its makers takes itself for one of an old Kubernetes. */
export const KUBERNETES_VERSION = '1.31.0'
export const HELM_BUILD_DEADLINE_MS = 600_000

/** Why there can be no Helm here, undefined where there can be one. In CI that is a failure, never a skip. */
export function whyNoHelm(): string | undefined {
  if (existsSync(helmPath()) || spawnSync('go', ['version']).status === 0) return undefined
  const reason = 'skipped: no go program on the PATH to build Helm with'
  if (process.env['CI'] !== undefined) throw new Error(`${reason}, in CI`)
  console.warn(reason)
  return reason
}

function helmPath(): string {
  return join(SERVERS_DIR, `helm-${VERSION}`, 'helm')
}

/** The path of the program, built the first time. */
export async function resolveHelm(): Promise<string> {
  const path = helmPath()
  if (existsSync(path)) return path
  const dir = join(SERVERS_DIR, `helm-${VERSION}`)
  mkdirSync(dir, { recursive: true })
  // Another checkout may be building it.
  const lock = await eventually((): FolderLock => lockFolder(dir), HELM_BUILD_DEADLINE_MS)
  try {
    if (!existsSync(path)) await build(join(dir, 'building'), path)
  } finally {
    lock.release()
  }
  return path
}

async function build(dir: string, path: string): Promise<void> {
  const env = { ...process.env, GOBIN: dir, GOFLAGS: '-p=1 -buildvcs=false', CGO_ENABLED: '0' }
  const child = spawn('nice', ['-n', '10', 'go', 'install', `helm.sh/helm/v3/cmd/helm@v${VERSION}`], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`go install of Helm ended with ${code}:\n${output}`)
  renameSync(join(dir, 'helm'), path)
}

export interface HelmRun {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export function runHelm(helm: string, args: readonly string[]): HelmRun {
  const { status, stdout, stderr } = spawnSync(helm, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  // The dashboards are a link to the folder of the repository, which Helm mentions each time.
  return { status, stdout, stderr: stderr.replaceAll(/^.*found symbolic link in path.*\n/gm, '') }
}

/** The programs of a Kubernetes API, where somebody put them into the shared folder (`kube-<version>/kube-apiserver` and `etcd`). */
export function kubePrograms(): { readonly apiserver: string; readonly etcd: string } | undefined {
  if (!existsSync(SERVERS_DIR)) return undefined
  const found = readdirSync(SERVERS_DIR)
    .filter((name) => name.startsWith('kube-'))
    .map((name) => ({ apiserver: join(SERVERS_DIR, name, 'kube-apiserver'), etcd: join(SERVERS_DIR, name, 'etcd') }))
  return found.find(({ apiserver, etcd }) => existsSync(apiserver) && existsSync(etcd))
}
