import { endsMachine, isSame, type Notice, noticeAfter, noticeText } from '../core/notice.ts'
import { storable } from '../lib/canonical.ts'
import type { Tx } from '../store/database.ts'
import { tellEvent } from '../store/events.ts'
import { type KnownNode, saveHeard } from '../store/heard.ts'
import { lockNoticed, saveNotice, undoDrain } from '../store/notices.ts'
import type { AgentReply, NoticeReport } from '../wire/agent.ts'
import { type Alarm, makeAlarm } from './alarm.ts'
import type { IntakeDeps } from './context.ts'
import { takeWord } from './word.ts'

export interface NoticeIntake {
  /** @throws Failure `credential_refused`, `second_holder` or `node_released`. */
  take(credential: string, report: NoticeReport, peerAddress: string): Promise<AgentReply>
}

/** Takes what agents tell of the end of their machines: at once, for some clouds leave half a minute. */
export function makeNoticeIntake(deps: IntakeDeps, alarm: Alarm = makeAlarm(deps)): NoticeIntake {
  return {
    take(credential, report, peerAddress) {
      const word = { credential, message: report, peerAddress }
      return takeWord(deps, alarm, word, (tx, node, now) => saveReport(tx, node, storable(report), now))
    },
  }
}

async function saveReport(tx: Tx, node: KnownNode, report: NoticeReport, now: number): Promise<boolean> {
  await saveHeard(tx, node.id, now)
  const { state, unwanted, notice: before, serviceAnswers } = await lockNoticed(tx, node.id)
  // Its end is on the way: that it ends is no news.
  if (unwanted || state === 'releasing' || state === 'gone') return false
  const notice = noticeAfter(before, report, now)
  await saveNotice(tx, node.id, { notice, serviceAnswers: report.serviceAnswers })
  if (endsMachine(before) && !endsMachine(notice)) await undoDrain(tx, node.id)
  if (report.serviceAnswers !== serviceAnswers)
    await tellOfService(tx, node, serviceAnswers, report.serviceAnswers, now)
  if (isSame(before, notice)) return notice?.takenAt !== before?.takenAt
  await tell(tx, node, notice ? 'node.notice' : 'node.notice_withdrawn', wordsOf(notice, now), now)
  return true
}

const wordsOf = (notice: Notice | null, now: number): string =>
  notice ? noticeText(notice, now) : 'The notice was withdrawn: the machine stays.'

/** Who cannot be asked will not announce anything either: then a reclaimed machine is lost without a word. */
function tellOfService(
  tx: Tx,
  node: KnownNode,
  before: boolean | null,
  answers: boolean | null,
  now: number,
): Promise<void> {
  if (answers === false)
    return tell(tx, node, 'node.notice_silent', 'The machine cannot ask its cloud for notices of its end.', now)
  if (before === false) return tell(tx, node, 'node.notice_heard', 'The cloud can be asked for notices again.', now)
  return Promise.resolve()
}

const tell = (tx: Tx, { id: nodeId, launchId }: KnownNode, kind: string, text: string, now: number): Promise<void> =>
  tellEvent(tx, now, { kind, text, nodeId, launchId })
