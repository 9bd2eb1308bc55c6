import { Link, Outlet, useLocation } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import type { StatusView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { session, usePerson } from '../api/session.ts'
import { useStatus } from '../live/status.ts'
import { Button } from '../parts/button.tsx'
import { Money } from '../parts/money.tsx'
import { count } from '../words/counts.ts'
import { Banners } from './banners.tsx'
import { Brand } from './brand.tsx'
import { LinkMark } from './link-mark.tsx'
import { LookSwitch } from './look-switch.tsx'
import { SignOut } from './sign-out.tsx'

const places = [
  { to: '/', text: 'Start' },
  { to: '/launches', text: 'Launches' },
  { to: '/fleet', text: 'Fleet' },
  { to: '/deployments', text: 'Deployments' },
  { to: '/playground', text: 'Playground' },
  { to: '/keys', text: 'Keys' },
  { to: '/people', text: 'People' },
  { to: '/audit', text: 'Audit' },
  { to: '/settings', text: 'Settings' },
] as const

/** What stands around every page. */
export function Shell() {
  const status = useStatus()
  const main = useRef<HTMLElement>(null)
  const { pathname } = useLocation()
  const [open, setOpen] = useState(false)
  // A reader who went to another page starts there, not behind the link that led to it.
  const first = useRef(true)
  // biome-ignore lint/correctness/useExhaustiveDependencies: on each new page.
  useEffect(() => {
    if (!first.current) main.current?.focus({ preventScroll: true })
    first.current = false
    setOpen(false)
  }, [pathname])
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <div className="side" data-open={open}>
        <div>
          <Link to="/" aria-label="Flightdeck, to the start">
            <Brand />
          </Link>
          <span className="menu">
            <LinkMark />
            <Button onPress={() => setOpen(!open)}>{open ? 'Close' : 'Menu'}</Button>
          </span>
          <nav aria-label="Pages">
            {places.map(({ to, text }) => (
              <Link key={to} to={to} activeOptions={{ exact: to === '/' }}>
                {text}
                <span className="n">{to === '/fleet' && status && count(livingIn(status))}</span>
              </Link>
            ))}
          </nav>
          <Foot status={status} />
        </div>
      </div>
      <main className="page" id="main" ref={main} tabIndex={-1}>
        <Banners status={status} />
        <Outlet />
      </main>
    </div>
  )
}

/** Every node that is not gone. */
const livingIn = ({ nodes }: StatusView): number =>
  Object.entries(nodes).reduce((sum, [state, those]) => sum + (state === 'gone' ? 0 : those), 0)

/** Who is signed in; a role that was changed counts at once, also for what this page offers. */
function usePersonNow() {
  const person = usePerson()
  const { data: now } = useRead('me')
  useEffect(() => {
    if (now && now.id === person?.id && now.role !== person.role) session.began(now)
  }, [now, person])
  return person
}

function Foot({ status }: { readonly status: StatusView | null }) {
  const person = usePersonNow()
  return (
    <div className="foot">
      <LinkMark />
      {status && (
        <span>
          <Money microUsd={status.burnPerHourMicroUsd} perHour /> now
        </span>
      )}
      <span>
        {person?.name} · {person?.role}
      </span>
      <span className="row">
        <SignOut />
        <LookSwitch />
      </span>
    </div>
  )
}
