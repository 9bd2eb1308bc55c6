import { useEffect, useState } from 'react'
import { humanRough } from '../../src/core/human-time.ts'
import { useLink } from '../live/link.ts'
import { StateMark } from '../parts/mark.tsx'

/** Whether what is shown is of now. */
export function LinkMark() {
  const link = useLink()
  if (link.kind === 'live') return <StateMark shape="good">live</StateMark>
  if (link.kind !== 'reconnecting') return <StateMark shape="busy">connecting</StateMark>
  return (
    <StateMark shape="doubtful">
      reconnecting, <Since at={link.lostAt} />
    </StateMark>
  )
}

/** Counts on this page's own steady clock: the server cannot be asked now. */
function Since({ at }: { readonly at: number }) {
  const [now, setNow] = useState(() => performance.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1_000)
    return () => clearInterval(timer)
  }, [])
  return humanRough(Math.max(0, now - at))
}
