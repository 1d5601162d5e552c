// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, MergeClaim, Provider, Reveal, Terms} from "../Types.sol";

/// @title ITrainingMarket
/// @notice Escrow and public record of federated training. No owner, no upgrade, no pause.
interface ITrainingMarket {
    // --- owner ---

    /// @notice Escrow `terms.pot` from the caller and open the bounty for joining.
    /// @dev Warning: tokens that take a fee on transfer are refused; rebasing tokens are not supported.
    function post(Terms calldata terms) external returns (BountyId bounty);

    /// @notice Return the pot to the owner. Only while `Joining`; stakes and the bond can then be withdrawn at once.
    function cancel(BountyId bounty) external;

    // --- providers ---

    /// @notice Lock `stake` (>= terms.stake) and become a member.
    /// @param encryptionKey X25519 public key of the provider's node
    /// @param multiaddr where the node's IPFS peer listens, <= 256 bytes; unverified text
    function join(BountyId bounty, uint96 stake, bytes32 encryptionKey, string calldata multiaddr) external;

    /// @notice Stop being a member. A commit of the current round may still be revealed.
    function leave(BountyId bounty) external;

    /// @notice Take the stake back, less what was forfeited, once nothing that the caller did can be challenged.
    function withdrawStake(BountyId bounty) external;

    /// @notice Record `commitment` for `round`.
    /// @param commitment keccak256(abi.encode(chainid, market, bounty, round, sender, updateRoot, salt))
    function commit(BountyId bounty, uint16 round, bytes32 commitment) external;

    /// @notice Open the caller's commitment of `round`.
    /// @param cid sha2-256 digest of the update file's CIDv0
    /// @param treeTop hash of the update tree's top node; updateRoot = keccak256(abi.encodePacked(treeTop, uint128(squaredNorm)))
    function reveal(BountyId bounty, uint16 round, bytes32 cid, bytes32 treeTop, uint64 squaredNorm, bytes32 salt)
        external;

    /// @notice Take `terms.forfeit` from the stake of a provider that left a commitment unopened past its reveal window. Anyone may call.
    /// @dev A provider with such a commitment can neither commit again nor withdraw before this was done.
    function forfeit(BountyId bounty, address provider) external;

    // --- aggregators ---

    /// @notice Lock `terms.bond` as a party that may merge. The named aggregator must, before the first round opens.
    function depositBond(BountyId bounty) external;

    /// @notice Take the bond back when no merge of the caller can be challenged and it has no duty left.
    function withdrawBond(BountyId bounty) external;

    /// @notice Record the merge of `round`. See `MergeClaim`.
    function merge(BountyId bounty, uint16 round, MergeClaim calldata claim) external;

    // --- money out ---

    /// @notice Pay the caller's vested earnings: its `cumulative` leaf less what it has taken.
    /// @param round the round whose payout tree is used, usually the latest vested one
    /// @param vestsAt as emitted by that round's `Merged`
    /// @param recordHash as emitted by that round's `Merged`
    /// @param proof siblings from the leaf up
    function claim(
        BountyId bounty,
        uint16 round,
        uint32 vestsAt,
        bytes32 recordHash,
        uint96 cumulative,
        bytes32[] calldata proof
    ) external;

    /// @notice Pay the caller for an update revealed in a round that ended without a merge.
    function claimLapsed(BountyId bounty, uint16 round, bytes32 updateRoot) external;

    /// @notice Write down what time alone has decided (a lapsed round, an expiry). Anyone, any time; every other call does it too.
    function settle(BountyId bounty) external;

    /// @notice Return to the owner what no one can earn any more. After the end, when the last merge has vested. Anyone may call.
    function refund(BountyId bounty) external;

    // --- views ---

    function bountyCount() external view returns (uint256);

    /// @notice Hash that stands for a merge: keccak256(abi.encode(payoutRoot, vestsAt, recordHash)); 0 where there is none.
    function mergeHash(BountyId bounty, uint16 round) external view returns (bytes32);

    function ownerOf(BountyId bounty) external view returns (address);
    function terms(BountyId bounty) external view returns (Terms memory);

    /// @notice The bounty's clock as it stands at the current block's time, pending lapses and expiries included.
    function clock(BountyId bounty) external view returns (Clock memory);

    /// @notice The bounty's two purses, apart from stakes and bonds.
    /// @return owed what providers were allocated and have not taken yet
    /// @return free what nobody was allocated: future shares, leftovers and forfeits; the owner's in the end
    function money(BountyId bounty) external view returns (uint96 owed, uint128 free);

    function provider(BountyId bounty, address account) external view returns (Provider memory);
    function commitmentOf(BountyId bounty, address account) external view returns (bytes32);
    function revealOf(BountyId bounty, uint16 round, bytes32 updateRoot) external view returns (Reveal memory);

    /// @notice What each revealed update of a lapsed round may take; 0 where the round has not lapsed.
    function lapsedShare(BountyId bounty, uint16 round) external view returns (uint96);

    /// @notice A party's bond and the earliest time at which it is free.
    function bondOf(BountyId bounty, address account) external view returns (uint96 amount, uint32 lockedUntil);
}
