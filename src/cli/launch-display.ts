import { humanMs } from '../core/human-time.ts'
import { launchReadyAt } from '../core/phases.ts'
import type { LaunchDetail } from '../wire/views.ts'
import { changeLines, type ProgressFrame, progressLines } from './launch-progress.ts'
import { plainLine } from './plain-text.ts'
import type { Terminal } from './terminal.ts'

/** Shows a launch while it moves. */
export interface Display {
  show(frame: Omit<ProgressFrame, 'now'>): void
  /** Leaves the last picture standing and shows no more. */
  close(): void
}

const redrawMs = 250

/** Redraws in place; between two messages too, so that the time runs. */
export function screenDisplay(terminal: Terminal, now: () => number = Date.now): Display {
  let last: Omit<ProgressFrame, 'now'> | null = null
  let height = 0
  const draw = () => {
    if (!last) return
    const lines = progressLines({ ...last, now: now() }, terminal.look())
    // Up to the first line of the last picture, and everything below it away.
    const back = height > 0 ? `\u001b[${height}A\u001b[0J` : ''
    height = lines.length
    terminal.out(`${back}${lines.map((line) => `${line}\n`).join('')}`)
  }
  const timer = setInterval(draw, redrawMs)
  return {
    show(frame) {
      last = frame
      draw()
    },
    close() {
      clearInterval(timer)
      draw()
    },
  }
}

/** One line for each change, for logs and pipes. */
export function linesDisplay(terminal: Terminal, now: () => number = Date.now): Display {
  let before: LaunchDetail | null = null
  let trouble: string | null = null
  return {
    show(frame) {
      for (const line of changeLines(before, frame.launch, now())) terminal.out(`${line}\n`)
      before = frame.launch
      if (frame.trouble && trouble === null) terminal.err(`${frame.trouble}\n`)
      trouble = frame.trouble
    },
    close: () => undefined,
  }
}

/** One JSON document for each change. */
export function jsonDisplay(terminal: Terminal): Display {
  let before = ''
  return {
    show({ launch }) {
      const { id, state, phase, percent, etaMs, queuePlace, nodeId, failure, costMicroUsd, attempts, steps } = launch
      const change = {
        id,
        state,
        phase,
        step: steps.at(-1)?.text ?? null,
        percent,
        etaMs,
        queuePlace,
        attempt: attempts.length,
        nodeId,
        failure,
        costMicroUsd,
      }
      // Money runs all the time; it alone is no news.
      const news = JSON.stringify({ ...change, costMicroUsd: 0 })
      if (news !== before) terminal.out(`${JSON.stringify({ event: 'change', ...change })}\n`)
      before = news
    },
    close: () => undefined,
  }
}

/** The closing words over a launch that serves; `gatewayUrl` is null where none has reported yet. */
export function servingText(launch: LaunchDetail, gatewayUrl: string | null, now: number): string {
  const readyAt = launchReadyAt(launch)
  const tookMs = (readyAt === null ? now : Date.parse(readyAt)) - Date.parse(launch.createdAt)
  const node = launch.attempts.at(-1)?.nodeName ?? launch.nodeId ?? ''
  const lines = [`live after ${humanMs(tookMs)}: ${plainLine(node)} serves ${plainLine(launch.model)}`]
  if (gatewayUrl) lines.push(`OpenAI base URL: ${plainLine(gatewayUrl.replace(/\/+$/, ''))}/v1`)
  return `${lines.join('\n')}\n`
}
