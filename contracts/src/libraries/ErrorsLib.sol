// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Phase} from "../Types.sol";

/// @title ErrorsLib
/// @notice Every refusal of the market, named after the state that is in the way.
library ErrorsLib {
    // --- any call ---

    error UnknownBounty(BountyId bounty);
    /// @notice The call belongs to another phase than the present one.
    error WrongPhase(Phase present);
    /// @notice The call names another round than the present one.
    error WrongRound(uint16 present);
    /// @notice A deposit changed the market's balance by another amount than the one that was asked.
    error WrongBalance(uint256 present, uint256 expected);

    // --- owner ---

    /// @notice The first field of the terms that is out of its range.
    error InvalidTerms(string field);
    error NotOwner(address owner);

    // --- providers ---

    error AlreadyMember(uint96 stake);
    error NotMember();
    error StakeTooSmall(uint96 least);
    error MultiaddrTooLong(uint256 length, uint256 longest);
    error TooManyMembers(uint256 most);
    /// @notice The words 0 and 1, shortened to 31 bytes, stand for "nothing to open".
    error ReservedCommitment();
    error AlreadyCommitted();
    /// @notice A commitment of an earlier round was never opened; `forfeit` clears it.
    error UnopenedCommitment(uint16 round);
    /// @notice The caller's commitment counts towards the quorum of the running commit phase.
    error StandingCommitment(uint16 round);
    error NothingToForfeit();
    /// @notice `unlocksAt` is 0 for a member that has not left.
    error StakeLocked(uint32 unlocksAt);
    error WrongOpening(bytes31 commitment);
    error NormOverBound(uint64 bound);
    error DuplicateUpdate(address provider);

    // --- aggregators ---

    error AlreadyBonded();
    error NotBonded(uint96 bond);
    /// @notice `freeAt` is 0 where no time frees the bond yet.
    error BondLocked(uint32 freeAt);
    error NotAggregator(address aggregator);
    error RejectedOutOfRange(uint16 reveals);
    error ReasonsMismatch(uint256 rejected, uint256 reasons);
    error PayoutLeavesOutOfRange(uint16 members);
    error PaidOverShare(uint96 most);
    /// @notice The first 28 bytes of the payout root are zeros, which stand for "no merge".
    error NoPayoutRoot();
    /// @notice The round's merge was voided at this very time. Another one can only follow later: no two have one record.
    error JustVoided();

    // --- proofs ---

    /// @notice Only the proof contracts may call this.
    error NotJudge();
    /// @notice The merge vested at this time (0: there is none) and stands.
    error AlreadyVested(uint32 vestsAt);
    error UnknownUpdate();
    error Disqualified();

    // --- money out ---

    error NotVested(uint32 vestsAt);
    error WrongProof();
    error NothingToClaim(uint96 claimed);
    /// @notice More is claimed than all merges and lapses have allocated and left unpaid.
    error NotOwed(uint96 owed);
    error NotProvider(address provider);
    error NotLapsed();
    error AlreadyCompensated();
    error NothingToRefund();
    /// @notice Only the contract that divides by contribution may call this.
    error NotScores();
    /// @notice The bounty's reward rule pays by payout trees.
    error NotByContribution();
    error AlreadyReleased();
}
