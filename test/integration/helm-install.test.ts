/**
 * The chart against a real Kubernetes API, where the machine has one: every object is taken in strict validation, installed by Helm, upgraded and removed. Nothing runs: there
 * are no nodes. Without the programs of an API this is skipped, in CI too: building them takes ten minutes.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HELM_BUILD_DEADLINE_MS, kubePrograms, resolveHelm, runHelm, whyNoHelm } from '../harness/helm.ts'
import { KubeApi } from '../harness/kube-api.ts'
import { parseRendered, workloadsOf, type KubeObject } from '../harness/rendered.ts'

const CHART = join(resolve(import.meta.dirname, '../..'), 'helm/sightline')
const EXAMPLES = ['laptop', 'one-cluster', 'edge-site', 'region', 'centre']
const NAMESPACE = 'observability'

const programs = whyNoHelm() === undefined ? kubePrograms() : undefined
if (programs === undefined) console.warn('skipped: no kube-apiserver here')

/** Where the API keeps an object. */
function pathOf({ apiVersion, kind, metadata }: KubeObject): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const namespace = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
  const plural = kind === 'NetworkPolicy' ? 'networkpolicies' : `${kind.toLowerCase()}s`
  return `${group}${namespace}/${plural}`
}

/** A copy of the chart that any version takes: an API built from its module by `go build` says that it is v0.0.0. */
function withoutKubeVersion(): string {
  const copy = mkdtempSync(join(tmpdir(), 'sightline-chart-'))
  cpSync(CHART, copy, { recursive: true, dereference: true })
  const path = join(copy, 'Chart.yaml')
  writeFileSync(path, readFileSync(path, 'utf8').replace(/^kubeVersion: .*\n/m, ''))
  return copy
}

describe.runIf(programs !== undefined)('a Kubernetes API', () => {
  let api: KubeApi
  let helm: string
  let installed: string

  beforeAll(async () => {
    helm = await resolveHelm()
    api = await KubeApi.start(programs!)
    installed = withoutKubeVersion()
    const { status } = await api.ask('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } })
    expect(status).toBe(201)
  }, HELM_BUILD_DEADLINE_MS)

  afterAll(() => {
    api?.stop()
    if (installed !== undefined) rmSync(installed, { recursive: true, force: true })
  })

  const run = (...args: string[]): string => {
    const { status, stdout, stderr } = runHelm(helm, [...args, '--namespace', NAMESPACE, ...api.helmFlags])
    if (status !== 0) throw new Error(stderr)
    return stdout
  }
  const render = (example: string): KubeObject[] =>
    parseRendered(run('template', 'obs', CHART, '--kube-version', '1.31.0', '--values', join(CHART, 'values', `${example}.yaml`)))
  const tokens = async (): Promise<unknown> => (await api.ask('GET', `/api/v1/namespaces/${NAMESPACE}/secrets/obs-tokens`)).body['data']

  test.each(EXAMPLES)('%s: every object is taken, no field is unknown', async (example) => {
    const objects = render(example)
    expect(objects.length).toBeGreaterThan(6)
    for (const object of objects) {
      const { status, body } = await api.ask('POST', `${pathOf(object)}?dryRun=All&fieldValidation=Strict`, object)
      expect({ object: `${object.kind}/${object.metadata.name}`, status, message: status === 201 ? undefined : body.message }).toEqual({
        object: `${object.kind}/${object.metadata.name}`,
        status: 201,
        message: undefined,
      })
    }
  })

  test('tokens are made once and kept over upgrades and a removal; one that was deleted is made anew', async () => {
    const values = ['--values', join(CHART, 'values/one-cluster.yaml')]
    run('install', 'obs', installed, ...values)
    const first = await tokens()
    expect(Object.keys(first as object).toSorted()).toEqual(['applications', 'collectors', 'grafana', 'nodes'])
    run('upgrade', 'obs', installed, ...values, '--set', 'single.resources.limits.memory=7Gi')
    expect(await tokens()).toEqual(first)
    const changed = await api.ask('GET', `/apis/apps/v1/namespaces/${NAMESPACE}/statefulsets/obs-single`)
    expect(JSON.stringify(changed.body['spec'])).toContain('"7Gi"')
    run('uninstall', 'obs')
    expect(await tokens()).toEqual(first)
    run('install', 'obs', installed, ...values)
    expect(await tokens()).toEqual(first)
    await api.ask('DELETE', `/api/v1/namespaces/${NAMESPACE}/secrets/obs-tokens`)
    run('upgrade', 'obs', installed, ...values)
    expect(await tokens()).not.toEqual(first)
  }, 60_000)

  test("accounts may do what the README says, and can't read Secrets", async () => {
    const may = async (account: string, attributes: object): Promise<unknown> => {
      const spec = {
        user: `system:serviceaccount:${NAMESPACE}:${account}`,
        groups: ['system:serviceaccounts', 'system:authenticated'],
        ...attributes,
      }
      const { body } = await api.ask('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { spec })
      return (body['status'] as { allowed: boolean }).allowed
    }
    const onNodes = { resourceAttributes: { verb: 'get', resource: 'nodes', subresource: 'metrics' } }
    expect(await may('obs-agent', onNodes)).toBe(true)
    expect(await may('obs-scraper', { nonResourceAttributes: { verb: 'get', path: '/metrics' } })).toBe(true)
    expect(await may('obs-agent', { nonResourceAttributes: { verb: 'get', path: '/metrics' } })).toBe(false)
    expect(await may('obs-single', onNodes)).toBe(false)
    for (const account of ['obs-agent', 'obs-scraper', 'obs-single']) {
      for (const resource of ['secrets', 'pods', 'configmaps']) {
        expect(await may(account, { resourceAttributes: { verb: 'list', resource, namespace: NAMESPACE } })).toBe(false)
      }
    }
  })

  test('a namespace of the standard "restricted" takes all pods but the agent', async () => {
    const name = 'restricted'
    await api.ask('POST', '/api/v1/namespaces', { metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } })
    const answers = new Map<string, { status: number; message: string | undefined }>()
    for (const { object, pod } of ['one-cluster', 'centre'].flatMap((example) => workloadsOf(render(example)))) {
      // A claim's template makes the volume of a StatefulSet's pod.
      const hasData = pod.volumes.some((volume) => volume.name === 'data')
      const volumes = hasData ? pod.volumes : [...pod.volumes, { name: 'data', persistentVolumeClaim: { claimName: 'data' } }]
      const body = { metadata: { name: object.metadata.name }, spec: { ...pod, volumes } }
      const answer = await api.ask('POST', `/api/v1/namespaces/${name}/pods?dryRun=All`, body)
      answers.set(object.metadata.name, { status: answer.status, message: answer.body.message })
    }
    for (const taken of ['obs-single', 'obs-query', 'obs-scraper']) expect(answers.get(taken)).toEqual({ status: 201, message: undefined })
    expect(answers.get('obs-agent')?.status).toBe(403)
    expect(answers.get('obs-agent')?.message).toContain('restricted volume types')
  })
})
