/** `sightline check FILE`: problems on a line each, or the values in force. */
import { loadConfig } from '../lib/config/index.ts'
import { messageOf } from '../lib/runtime/errors.ts'
import { parseRuleExpression } from '../query/rules-program.ts'
import { loadAlertmanagerConfig } from '../rules/alertmanager/index.ts'
import { loadRuleFiles } from '../rules/index.ts'

/** The exit code. */
export function checkConfig(path: string, print: (line: string) => void): number {
  try {
    const { warnings, text, config } = loadConfig(path)
    loadRuleFiles(config.rule_files, parseRuleExpression)
    loadAlertmanagerConfig(config.alertmanager)
    for (const warning of warnings) print(`warning: ${warning}`)
    print(`${path}: no problems; in force:`)
    print(text)
    return 0
  } catch (error) {
    print(messageOf(error))
    return 1
  }
}
