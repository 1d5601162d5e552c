// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, Merge, MergeClaim, Provider, Reveal, Terms} from "../Types.sol";
import {RevealWord} from "../libraries/RevealLib.sol";

/// @title ITrainingMarket
/// @notice Escrow and public record of federated training. No owner, no upgrade, no pause.
interface ITrainingMarket {
    // --- owner ---

    /// @notice Escrow `terms.pot` from the caller and open the bounty for joining.
    /// @dev Warning: whoever controls the token controls all that is paid in it. A deposit that arrives short is
    /// refused, so tokens with a fee on transfer don't work; rebasing tokens are not supported.
    function post(Terms calldata terms) external returns (BountyId bounty);

    /// @notice Return the pot to the owner. Only while `Joining`; stakes and the bond can then be withdrawn at once.
    function cancel(BountyId bounty) external;

    // --- providers ---

    /// @notice Lock `stake` (>= terms.stake) and become a member.
    /// @param encryptionKey X25519 public key of the provider's node
    /// @param multiaddr where the node's IPFS peer listens, <= 256 bytes; unverified text
    function join(BountyId bounty, uint96 stake, bytes32 encryptionKey, string calldata multiaddr) external;

    /// @notice Stop being a member. Refused while the caller's commit counts towards the quorum of a running commit
    /// phase; once that is over it may leave and still reveal. The stake unlocks later; after the end there is no need to leave.
    function leave(BountyId bounty) external;

    /// @notice Take the stake back, less what was forfeited, once nothing that the caller did can be challenged: when
    /// the time given by leaving has come, or after the end when the last merge has vested, or after a cancellation.
    /// @dev Earnings stay claimable. Who joins again keeps its index and what it has claimed.
    function withdrawStake(BountyId bounty) external;

    /// @notice Record `commitment` for `round`.
    /// @dev Warning: its first 31 bytes are kept. It can't be taken back; unopened, it costs `terms.forfeit`.
    /// @param commitment keccak256(abi.encode(chainid, market, bounty, round, sender, updateRoot, salt))
    function commit(BountyId bounty, uint16 round, bytes32 commitment) external;

    /// @notice Open the caller's commitment of `round`.
    /// @param cid sha2-256 digest of the update file's CIDv0
    /// @param updateRoot root of the update's sum tree; its last 8 bytes are the update's squared L2 norm in squared
    /// grid units, <= terms.squaredNormBound
    function reveal(BountyId bounty, uint16 round, bytes32 cid, bytes32 updateRoot, bytes32 salt) external;

    /// @notice Take `terms.forfeit` from the stake of a provider that left a commitment unopened past its reveal
    /// window, for the owner. A stake that is then smaller than `terms.forfeit` ends the membership. Anyone may call.
    /// @dev A provider with such a commitment can't commit again before this was done; withdrawing does it first.
    function forfeit(BountyId bounty, address provider) external;

    // --- aggregators ---

    /// @notice Lock `terms.bond` as a party that may merge. The named aggregator must, before the first round opens.
    function depositBond(BountyId bounty) external;

    /// @notice Take the bond back when no merge of the caller can be challenged and it has no duty left. The named
    /// aggregator's duty begins with the first round and ends with the bounty.
    function withdrawBond(BountyId bounty) external;

    /// @notice Record the merge of `round`, which opens the next round, or ends the bounty: after the last, and where its
    /// `metric` reaches the target. See `MergeClaim`.
    /// @dev The contract checks the merge's form. Its content can be proven wrong, by anyone, until its payouts vest
    /// `challengeSeconds` later, or later where a demand extends that.
    function merge(BountyId bounty, uint16 round, MergeClaim calldata claim) external;

    // --- proofs ---

    /// @notice Void a merge that was proven wrong, and all that was built on it. The bond behind it is lost: half goes
    /// to `prover`. The round can be merged again, by anyone who has bonded, from the same updates. What was revealed
    /// in later rounds is paid as in a lapsed round. Only for the proof contracts.
    function voidMerge(BountyId bounty, uint16 round, address prover) external;

    /// @notice Disqualify an update that was proven faulty. The provider's whole stake is lost: half goes to `prover`.
    /// Only for the proof contracts.
    function disqualify(BountyId bounty, uint16 round, bytes32 updateRoot, address prover) external;

    /// @notice Let nothing built on a merge vest, and no stake or bond leave, before `until`. Only for the proof
    /// contracts.
    function extend(BountyId bounty, uint16 round, uint32 until) external;

    // --- money out ---

    /// @notice Pay the caller's vested earnings: its `cumulative` leaf less what it has taken.
    /// @param round the round whose payout tree is used, usually the latest vested one
    /// @param proof siblings from the leaf up
    function claim(BountyId bounty, uint16 round, uint96 cumulative, bytes32[] calldata proof) external;

    /// @notice Pay the caller for an update that it revealed in a round that ended without a merge.
    function claimLapsed(BountyId bounty, uint16 round, bytes32 updateRoot) external;

    /// @notice Hand the vested `paid` of a round that is paid by contribution over to `scores`, once. Only for `scores`.
    /// @return amount what was transferred: `paid`, or what is owed where a wrong payout tree took of it
    function release(BountyId bounty, uint16 round) external returns (uint96 amount);

    /// @notice Write down what time alone has decided (a lapsed round, an expiry). Anyone may call at any time; every
    /// call that depends on it does it first.
    function settle(BountyId bounty) external;

    /// @notice Return to the owner what no one can earn any more. After the end, when the last merge has vested; again
    /// if forfeits follow. Anyone may call.
    function refund(BountyId bounty) external;

    // --- views ---

    /// @notice The contract that judges proofs.
    function proofs() external view returns (address);

    /// @notice The contract that takes demands for withheld chunks.
    function demands() external view returns (address);

    /// @notice The contract that divides what is paid by contribution.
    function scores() external view returns (address);

    /// @notice How many bounties were posted; also the latest id.
    function bountyCount() external view returns (uint256);

    /// @notice What is kept of a round's merge; zeros where there is none.
    function mergeOf(BountyId bounty, uint16 round) external view returns (Merge memory);

    /// @notice Who posted the bounty; 0 for an unknown one.
    function ownerOf(BountyId bounty) external view returns (address);

    /// @notice What the owner fixed when posting; zeros for an unknown bounty.
    function terms(BountyId bounty) external view returns (Terms memory);

    /// @notice The bounty's clock as it stands at the current block's time, pending lapses and expiries included.
    function clock(BountyId bounty) external view returns (Clock memory);

    /// @notice The bounty's two purses, apart from stakes and bonds.
    /// @return owed what providers were allocated and have not taken yet
    /// @return free what nobody was allocated: future shares, leftovers and forfeits; the owner's in the end
    function money(BountyId bounty) external view returns (uint96 owed, uint128 free);

    /// @notice An account's standing as of the last transaction.
    function provider(BountyId bounty, address account) external view returns (Provider memory);

    /// @notice The first 31 bytes of the commitment that waits to be opened, then a zero byte; 0 where none waits.
    function commitmentOf(BountyId bounty, address account) external view returns (bytes32);

    /// @notice Whether an account ever joined, and its member index.
    function seatOf(BountyId bounty, address account) external view returns (bool joined, uint16 index);

    /// @notice A revealed update of a round; zeros where there is none.
    function revealOf(BountyId bounty, uint16 round, bytes32 updateRoot) external view returns (Reveal memory);

    /// @notice What was revealed in `round` under each of these update roots, in their order: provider | index << 160 |
    /// weight << 176, and 0 where there is no such update.
    function revealsOf(BountyId bounty, uint16 round, bytes32[] calldata updateRoots)
        external
        view
        returns (RevealWord[] memory);

    /// @notice What each revealed update of a lapsed round may take; 0 where no lapse was written down.
    function lapsedShare(BountyId bounty, uint16 round) external view returns (uint96);

    /// @notice A party's bond as of the last transaction, and the time from which it can be withdrawn; the greatest
    /// uint32 where no time frees it yet.
    function bondOf(BountyId bounty, address account) external view returns (uint96 amount, uint32 lockedUntil);
}
