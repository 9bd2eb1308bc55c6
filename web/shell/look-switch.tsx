import { useState } from 'react'
import { Button } from '../parts/button.tsx'

const looks = ['system', 'light', 'dark'] as const
type Look = (typeof looks)[number]
const keptAs = 'flightdeck-look'

function kept(): Look {
  const value = localStorage.getItem(keptAs)
  return looks.find((look) => look === value) ?? 'system'
}

/** Light or dark as the reader chose, or as their system says. */
export function applyLook(look: Look = kept()): void {
  if (look === 'system') delete document.documentElement.dataset['look']
  else document.documentElement.dataset['look'] = look
}

export function LookSwitch() {
  const [look, setLook] = useState(kept)
  const turn = () => {
    const next = looks[(looks.indexOf(look) + 1) % looks.length] ?? 'system'
    localStorage.setItem(keptAs, next)
    applyLook(next)
    setLook(next)
  }
  const word = look === 'system' ? 'as the system' : look
  return (
    <Button look="quiet" onPress={turn} label={`${word}: change the colours`}>
      {word}
    </Button>
  )
}
