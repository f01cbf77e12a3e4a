/** The same keys with the same kinds of words: what a translation must be. */
export type Same<W> = { [K in keyof W]: W[K] extends (...values: infer A) => string ? (...values: A) => string : string }
