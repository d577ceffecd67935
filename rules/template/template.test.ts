import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { compileAlertTemplate, NotificationTemplates } from './index.ts'

const expand = (text: string, value = 1.5, labels: Record<string, string> = { instance: 'a:80', job: 'shop' }): Promise<string> =>
  compileAlertTemplate(text, 'Test').expand(
    { labels: new Map(Object.entries(labels)), externalLabels: new Map([['cluster', 'eu']]), externalUrl: 'http://x/', value, nowMs: 0 },
    (expression) =>
      Promise.resolve(expression === 'none' ? [] : ['b', 'a'].map((name, i) => ({ Labels: new Map([['name', name]]), Value: i + 10 }))),
  )

describe('alert templates', () => {
  test.each([
    ['plain', 'plain'],
    ['{{ $labels.instance }} of {{$labels.job}}: {{ $value }}', 'a:80 of shop: 1.5'],
    ['{{ $labels.missing }}|', '|'],
    ['{{ .Labels.job }} {{ .Value }} {{ $externalLabels.cluster }} {{ $externalURL }}', 'shop 1.5 eu http://x/'],
    ['{{ if gt $value 1.0 }}high{{ else if eq $value 1.0 }}one{{ else }}low{{ end }}', 'high'],
    ['{{- /* nothing */ -}} a {{- " b " -}} c', 'a b c'],
    ['{{ $value | printf "%.2f" }} {{ printf "%5.1f|%-4s|%q|%%" 2.25 "x" "y" }}', '1.50   2.2|x   |"y"|%'],
    ['{{ range query "up" }}{{ .Labels.name }}={{ .Value }} {{ end }}', 'b=10 a=11 '],
    ['{{ range query "up" | sortByLabel "name" }}{{ label "name" . }}{{ end }}', 'ab'],
    ['{{ with query "up" }}{{ . | first | value }}{{ end }}', '10'],
    ['{{ with query "none" }}x{{ else }}no data{{ end }}', 'no data'],
    ['{{ $x := 5 }}{{ if true }}{{ $x = 6 }}{{ end }}{{ $x }}', '6'],
    ['{{ range $i, $s := query "up" }}{{ if $i }}, {{ end }}{{ $s.Labels.name }}{{ end }}', 'b, a'],
    ['{{ define "t" }}<{{ .arg0 }}>{{ end }}{{ template "t" (args "q") }}', '<q>'],
    ['{{ toUpper "x" }}{{ "Y" | toLower }}{{ title "hello world" }}', 'XyHello World'],
    ['{{ reReplaceAll "(.*):.*" "$1" $labels.instance }} {{ match "^a" $labels.instance }} {{ stripPort "a:80" }}', 'a true a'],
    ['{{ and 1 0 }} {{ or "" "z" }} {{ not true }} {{ eq "a" "b" "a" }} {{ ne 1 2 }} {{ len "abc" }}', '0 z false true true 3'],
    ['{{ "1h30m" | parseDuration | humanizeDuration }} {{ (index (query "up") 1).Value }}', '1h 30m 0s 11'],
    ['{{ 0.1 | humanizePercentage }} {{ 1435065584.128 | humanizeTimestamp }}', '10% 2015-06-23 13:19:44.128 +0000 UTC'],
    ['{{ 1e21 }} {{ 0.00001 }} {{ 1000000 }}', '1e+21 1e-05 1000000'],
    ['{{ "<a>" | html }} {{ "a b&c" | urlquery }} {{ `raw\\n` }} {{ print "a" 1 2 "b" }}', '&lt;a&gt; a+b%26c raw\\n a1 2b'],
  ])('%s', async (text, wanted) => {
    expect(await expand(text)).toBe(wanted)
  })

  test.each([
    [0, '0', '0', '0s'],
    [1234567, '1.235M', '1.177Mi', '14d 6h 56m 7s'],
    [0.001234, '1.234m', '0.001234', '1.234ms'],
    [-900, '-900', '-900', '-15m 0s'],
    [Infinity, '+Inf', '+Inf', '+Inf'],
    [59.5, '59.5', '59.5', '59.5s'],
  ])('humanize %s', async (value, plain, binary, duration) => {
    expect(await expand('{{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }}', value)).toBe(
      `${plain} ${binary} ${duration}`,
    )
  })

  test('a failure is the text that says so', async () => {
    expect(await expand('{{ query "none" | first }}')).toMatch(
      /^<error expanding template: error executing template __alert_Test: .*first\(\) called on vector with no elements>$/,
    )
    expect(await expand('{{ $value.Foo }}')).toContain("can't evaluate field Foo")
  })

  test('what does not parse is refused with its line', () => {
    expect(() => compileAlertTemplate('a\n{{ nope }}', 'X')).toThrow('__alert_X:2: function "nope" not defined')
    expect(() => compileAlertTemplate('{{ $nope }}', 'X')).toThrow('undefined variable "$nope"')
    expect(() => compileAlertTemplate('{{ if true }}', 'X')).toThrow('unexpected EOF')
  })

  test('endless work ends', async () => {
    expect(await expand('{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}')).toContain('maximum template depth')
    const loops = '{{ range query "up" }}'.repeat(20) + 'x' + '{{ end }}'.repeat(20)
    expect(await expand(loops)).toContain('steps')
  })

  test('any text parses or is refused as bad data', () => {
    const word = fc.constantFrom(
      '{{',
      '}}',
      '{{-',
      ' -}}',
      'if',
      'end',
      'range',
      ' ',
      '$x',
      ':=',
      '|',
      '(',
      ')',
      '.',
      '.a',
      '"s"',
      '1',
      'len',
      'else',
      'define',
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), (words) => {
        let thrown: unknown
        try {
          compileAlertTemplate(words.join(''), 'X')
        } catch (error) {
          thrown = error
        }
        expect(thrown === undefined || thrown instanceof SightlineError).toBe(true)
      }),
    )
  })
})

test('notification templates use named ones of files', () => {
  const templates = new NotificationTemplates()
  templates.add('{{ define "my.text" }}{{ range .Alerts }}{{ .Name }} {{ .At.Format "15:04:05" }};{{ end }}{{ end }}', 'a.tmpl')
  const data = { Alerts: [{ Name: 'x', At: new Date(3_661_000) }] }
  expect(templates.expand('{{ template "my.text" . }}', data)).toBe('x 01:01:01;')
  expect(() => templates.expand('{{ .constructor }}', data)).toThrow("can't evaluate field constructor")
})
