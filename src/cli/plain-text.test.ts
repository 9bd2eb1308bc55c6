import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cut, padEnd, plainBlock, plainLine, widthOf } from './plain-text.ts'

test('nothing that a terminal acts on gets through, whatever the text', () => {
  const nasty = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\u001b[2J', '\u001b]0;title\u0007', '\u009b31m', '\r', '\u202e', '\u001b', '[31m', 'text'),
  )
  fc.assert(
    fc.property(fc.array(nasty), (parts) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be gone.
      expect(plainLine(parts.join(''))).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
    }),
  )
})

test('colours, titles and carriage returns of a log are gone, its words stay', () => {
  expect(plainLine('\u001b[31mred\u001b[0m \u001b]0;owned\u0007title\rover')).toBe('red titleover')
  expect(plainBlock('one\r\ntwo\u001b[1Athree')).toBe('one\ntwothree')
  expect(plainLine('one\ntwo\tthree')).toBe('one two three')
})

test('text is never cut wider than asked, and says that it was cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, columns) => {
      expect(widthOf(cut(text, columns))).toBeLessThanOrEqual(columns)
    }),
  )
  expect(cut('abcdef', 4)).toBe('abc~')
  expect(cut('模型', 3)).toBe('模~')
  expect(padEnd('模型', 6)).toBe('模型  ')
})
