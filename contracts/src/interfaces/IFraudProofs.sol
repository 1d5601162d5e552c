// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Terms} from "../Types.sol";
import {Disputed, ICases, Opening} from "./ICases.sol";

/// @notice One leaf of a payout tree, and the same member's leaf in the tree before.
struct PayoutOpening {
    uint16 seat; // member index
    address account;
    uint96 cumulative;
    bytes siblings;
    uint96 previousCumulative; // 0 where the tree before has no such leaf
    bytes previousSiblings;
}

/// @title IFraudProofs
/// @notice Judges merges. Every proof is one transaction by anyone, recomputed here from committed bytes; it reverts
/// with the reason where it shows no fault, and else takes the bond and voids the merge. See docs/PROTOCOL.md, section 10.
/// @dev Warning: a proof is public while it waits to be included, and whoever sends it first has the reward.
interface IFraudProofs is ICases {
    /// @notice A round's seed was drawn.
    event SeedDrawn(BountyId indexed bounty, uint16 indexed round, bytes32 seed);
    /// @notice A coordinate was proven wrong: it is `claimed` but `follows` from the updates.
    event CoordinateProven(
        BountyId indexed bounty,
        uint16 indexed round,
        uint256 coordinate,
        int256 claimed,
        int256 follows,
        int256 claimedPrevious,
        int256 followsPrevious
    );
    event RejectionProven(BountyId indexed bounty, uint16 indexed round, uint16 index, uint8 code);
    event AcceptanceProven(BountyId indexed bounty, uint16 indexed round, uint16 index);
    event PayoutProven(BountyId indexed bounty, uint16 indexed round, uint16 seat, uint96 claimed, uint96 follows);
    event PaidProven(BountyId indexed bounty, uint16 indexed round, uint96 claimed, uint96 follows);
    event ScaleProven(BountyId indexed bounty, uint16 indexed round, uint256 pair);
    event DistanceProven(BountyId indexed bounty, uint16 indexed round, uint256 pair, uint256 chunk);
    event UndrawnProven(BountyId indexed bounty, uint16 indexed round);

    /// @notice A rejection for this reason is about a file or a whole update, which no contract can see.
    error NotJudged(uint8 code);
    error NotAccepted(uint16 index);
    error NotMasks();
    /// @notice Only an account without code can draw, so that no draw can be undone by its caller.
    error NotPlainAccount();
    error AlreadyDrawn();
    error NotMerging();

    /// @notice The contract that judges merges of masked updates.
    function masks() external view returns (address);

    /// @notice Void a merge that `masks` has found wrong. Only for it.
    /// @param prover who gets the reward
    function voidFor(BountyId bounty, uint16 round, address prover) external;

    /// @notice Refuse terms with a field out of its range, above all a merge rule whose merges could not be judged here.
    function checkTerms(Terms calldata terms) external view;

    /// @notice The seed of a round's bucket order, 0 where none was drawn.
    function seedOf(BountyId bounty, uint16 round) external view returns (bytes32);

    /// @notice Draw the seed of the present round once its reveals are over. The first draw counts.
    function draw(BountyId bounty, uint16 round) external;

    /// @notice The new state at one coordinate is not what the rule gives. Not for rules that need whole updates, and not
    /// for masked ones.
    /// @param beforehand the chunk in the state that the merge builds on
    /// @param afterwards the chunk in the merged state
    /// @param updates of every accepted update, by rising reveal index (`centered_clip`: in bucket order), packed:
    /// 256 bytes of chunk, 8 bytes of its committed sum, its siblings
    /// @param scales the clipping scales; empty for other rules
    function proveCoordinate(
        Disputed calldata disputed,
        uint32 chunk,
        uint8 coordinate,
        Opening calldata beforehand,
        Opening calldata afterwards,
        bytes calldata updates,
        bytes calldata scales
    ) external;

    /// @notice A chunk of an update does not have its committed sum of squares, or holds -32768. The provider loses
    /// its stake and the update is disqualified. Anyone may prove it as long as the bounty knows the update, unless masked.
    function proveLeaf(BountyId bounty, uint16 round, uint32 chunk, uint64 sum, Opening calldata leaf) external;

    /// @notice The merge accepted a disqualified update.
    function proveAcceptance(Disputed calldata disputed, bytes32 updateRoot) external;

    /// @notice An update was rejected for a fault that the chunk named in the reason does not have, or for a reason
    /// that does not exist (under masks there are no such faults). `leaf` and `sum` are not read in the second case.
    function proveRejection(
        Disputed calldata disputed,
        bytes calldata reasons,
        bytes32 updateRoot,
        uint64 sum,
        Opening calldata leaf
    ) external;

    /// @notice A payout leaf names another account than the member's, another amount than the reward rule gives, or
    /// stands in a tree of another depth.
    /// @param updateRoots of all accepted updates, by rising reveal index
    function provePayout(Disputed calldata disputed, PayoutOpening calldata payout, bytes32[] calldata updateRoots)
        external;

    /// @notice The merge's `paid` is not what its accepted updates earn together (by contribution: their part of the share), or
    /// its payout tree has no leaf for a provider that earned by it, or fewer leaves than the one before.
    /// @param updateRoots The accepted updates' roots, by rising reveal index.
    /// @param leafless A provider of one of them that has no leaf; anything where it is about something else.
    function provePaid(Disputed calldata disputed, bytes32[] calldata updateRoots, address leafless) external;

    /// @notice A clipping scale is not the one that the committed distance gives, or there are too few or too many.
    function proveScale(Disputed calldata disputed, uint256 pair, bytes calldata scales, bytes calldata distances)
        external;

    /// @notice A leaf of a distance tree is not the squared distance of its bucket's chunk.
    /// @param pair iteration * buckets + bucket
    /// @param updates as in `proveCoordinate`; for iteration 0 those of the bucket alone
    function proveDistance(
        Disputed calldata disputed,
        uint256 pair,
        uint32 chunk,
        bytes calldata distances,
        Opening calldata distance,
        Opening calldata beforehand,
        bytes calldata updates,
        bytes calldata scales
    ) external;

    /// @notice The merge put updates in buckets although no seed was drawn.
    function proveUndrawn(Disputed calldata disputed) external;
}
