/** Words of the page Train. */
export const train = {
  title: 'Train',
  sub: 'Make a generator from a data set.',
}
