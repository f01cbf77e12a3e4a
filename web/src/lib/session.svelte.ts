/** Whether this page may speak with the studio, and whether the studio is there. */

class Session {
  /** The studio answered 401: the page is not signed in. */
  signedOut = $state(false)
  /** Nothing has been heard of the studio for two seconds. */
  lost = $state(false)
  /** Names this start of the studio; changes when it was started again. */
  boot = $state('')
  /** Sentences that are needed before any language is there; i18n puts its own here. */
  words = {
    unreachable: () => 'The studio did not answer.',
    startAgain: () => 'Start it again with: gesso studio',
    answered: (status: number) => `The studio answered ${status}.`,
  }
}

export const session = new Session()
