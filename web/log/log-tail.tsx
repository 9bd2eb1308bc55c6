import { memo, useLayoutEffect, useRef, useState } from 'react'
import type { LogLine } from '../../src/wire/views.ts'
import { useLog } from '../live/fed.ts'
import { Button } from '../parts/button.tsx'
import { Waiting } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Clock } from '../parts/time.tsx'
import { plainText } from '../words/plain-text.ts'
import look from './log-tail.module.css'

// As many as a person scrolls back; the transcript has all of them.
const drawnLines = 500
const nearEndPx = 24

/** What engine and agent of a node print, followed as long as the reader stays at its end. */
export function LogTail({ nodeId, title = 'Log' }: { readonly nodeId: string; readonly title?: string }) {
  const lines = useLog(nodeId)
  const box = useRef<HTMLOListElement>(null)
  const [following, setFollowing] = useState(true)
  // biome-ignore lint/correctness/useExhaustiveDependencies: on each new line.
  useLayoutEffect(() => {
    if (following && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [lines, following])
  return (
    <Panel
      title={title}
      sub={lines && lines.length > 0 ? (following ? 'following' : 'held where you read') : null}
      actions={
        following ? null : (
          <Button look="quiet" onPress={() => setFollowing(true)}>
            To the end
          </Button>
        )
      }
      flush
    >
      {lines === null ? (
        <Waiting />
      ) : lines.length === 0 ? (
        <Empty title="It has printed nothing yet." />
      ) : (
        <ol
          ref={box}
          className={look['log']}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be in reach of the keyboard.
          tabIndex={0}
          aria-label={title}
          onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) =>
            setFollowing(scrollHeight - scrollTop - clientHeight < nearEndPx)
          }
        >
          {lines.slice(-drawnLines).map((line) => (
            <Line key={line.n} line={line} />
          ))}
        </ol>
      )}
    </Panel>
  )
}

/** Drawn once: each new line comes below hundreds that stay as they are. */
const Line = memo(function Line({ line: { at, source, text } }: { readonly line: LogLine }) {
  return (
    <li className={source === 'agent' ? look['agent'] : undefined}>
      <Clock at={at} /> {plainText(text)}
    </li>
  )
})
