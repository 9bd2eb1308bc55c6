import { secondsOf } from '../core/human-time.ts'
import { usage } from './exit.ts'

export function numberFor(flag: string, least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isFinite(value) && value >= least) return value
    throw usage(`${flag} must be a number of at least ${least}, not "${text}".`, `Give ${flag} a number.`)
  }
}

export const wholeFor = (flag: string, least: number): ((text: string) => number) => {
  const number = numberFor(flag, least)
  return (text) => {
    const value = number(text)
    if (Number.isInteger(value)) return value
    throw usage(`${flag} must be a whole number, not "${text}".`, `Give ${flag} a whole number.`)
  }
}

export function timeFor(flag: string): (text: string) => number {
  return (text) => {
    const seconds = secondsOf(text)
    if (seconds !== null) return seconds
    throw usage(`${flag} must be a time, not "${text}".`, 'Write it like 90s, 15m or 1h30m.')
  }
}
