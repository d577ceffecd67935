/** `| line_format` and `| label_format`. A template that fails at run time leaves what it should set and tells `__error__="TemplateFormatErr"`. */
import { messageOf, SightlineError } from '../../../lib/runtime/errors.ts'
import type { LabelFormat } from '../ast.ts'
import { compileTemplate } from '../template/index.ts'
import { PARSED, type Entry } from './entry.ts'
import type { LineStage } from './stage.ts'

export const TEMPLATE_ERROR = 'TemplateFormatErr'

function render(entry: Entry, template: ReturnType<typeof compileTemplate>, labels: ReadonlyMap<string, string>): string | undefined {
  try {
    return template({ labels, line: () => entry.text, timeMs: entry.timeMs, subNs: entry.subNs })
  } catch (error) {
    if (!(error instanceof SightlineError)) throw error
    entry.fail(TEMPLATE_ERROR, messageOf(error))
    return undefined
  }
}

export function lineFormatStage(text: string): LineStage {
  const template = compileTemplate(text)
  return {
    reads: 'both',
    process(entry) {
      const line = render(entry, template, entry.toMap())
      if (line !== undefined) entry.text = line
      return true
    },
  }
}

export function labelFormatStage(formats: readonly LabelFormat[]): LineStage {
  const compiled = formats.map((format) => ({
    format,
    template: format.kind === 'template' ? compileTemplate(format.template) : undefined,
  }))
  const isPure = formats.every((format) => format.kind === 'rename' || !/__line__|__timestamp__|now/.test(format.template))
  return {
    reads: isPure ? 'labels' : 'both',
    process(entry) {
      let labels: ReadonlyMap<string, string> | undefined
      for (const { format, template } of compiled) {
        if (format.kind === 'rename') {
          const value = entry.get(format.source)
          const category = entry.categoryOf(format.source)
          if (value === undefined || category === undefined) continue
          entry.set(format.name, value, category)
          entry.delete(format.source)
          continue
        }
        labels ??= entry.toMap()
        const value = render(entry, template!, labels)
        if (value !== undefined) entry.set(format.name, value, PARSED)
      }
      return true
    },
  }
}
