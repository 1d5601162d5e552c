// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {
    BountyId,
    Clock,
    MergeClaim,
    MergeRule,
    Phase,
    PrivacyMode,
    Provider,
    RewardRule,
    Terms
} from "../../src/Types.sol";
import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {ChunkTreeLib} from "../../src/libraries/ChunkTreeLib.sol";
import {MergeLib} from "../../src/libraries/MergeLib.sol";
import {SumNode, SumTreeLib} from "../../src/libraries/SumTreeLib.sol";
import {Markets} from "./Markets.sol";
import {Mintable} from "./Mintable.sol";
import {Trees} from "./Trees.sol";

/// @notice A market, a token, people with money, and the steps of a bounty's life as one-line calls.
abstract contract MarketTest is Markets {
    uint256 internal constant START = 1_750_000_000;
    uint96 internal constant FORTUNE = 1e27;
    uint64 internal constant NORM = 4_096;

    ITrainingMarket internal market;
    IERC20 internal token;
    BountyId internal id;

    /// @dev What is posted; tests change it before.
    Terms internal rules;

    address internal owner = address(0x0A);
    address internal aggregator = address(0x0B);
    address internal rival = address(0x0C);

    /// @dev What the latest merge emitted, as a claimer needs it.
    uint32 internal vestsAt;
    bytes28 internal recordHash;
    bytes32[] internal leaves;

    bytes private _refusal;

    function setUp() public virtual {
        vm.warp(START);
        market = _newMarket();
        token = _newToken();
        rules = _usualTerms();
        _fund(owner);
        _fund(aggregator);
        _fund(rival);
    }

    function _newToken() internal virtual returns (IERC20) {
        return _newDevToken();
    }

    // --- people ---

    function _provider(uint256 k) internal pure returns (address) {
        return address(uint160(0x1000 + k));
    }

    function _fund(address account) internal virtual {
        Mintable(address(token)).mint(account, FORTUNE);
        vm.prank(account);
        token.approve(address(market), type(uint256).max);
    }

    // --- terms ---

    function _usualTerms() internal view returns (Terms memory) {
        return Terms({
            token: token,
            pot: 10_000e18 + 7,
            aggregator: aggregator,
            bond: 500e18,
            stake: 100e18,
            squaredNormBound: 1 << 40,
            rounds: 3,
            minUpdates: 2,
            maxUpdates: 8,
            mergeRule: MergeRule.Mean,
            rewardRule: RewardRule.Equal,
            maxWeight: 1,
            privacy: PrivacyMode.Open,
            forfeit: 30e18,
            commitSeconds: 60,
            revealSeconds: 30,
            mergeSeconds: 40,
            openMergeSeconds: 50,
            challengeSeconds: 100,
            patience: 3,
            chunks: 8,
            demandFee: 1e18,
            answerSeconds: 20,
            target: 0,
            manifest: keccak256("manifest"),
            stateRoot: keccak256("state 0"),
            mergeParameters: bytes32(uint256(65_536))
        });
    }

    // --- steps ---

    /// @dev The next step must be refused with `refusal`.
    function _refused(bytes memory refusal) internal {
        _refusal = refusal;
    }

    /// @dev The next step must be refused with an error without arguments.
    function _refused(bytes4 selector) internal {
        _refusal = abi.encodePacked(selector);
    }

    /// @dev The next call to the market comes from `account`.
    function _as(address account) internal {
        if (_refusal.length != 0) vm.expectRevert(_refusal);
        delete _refusal;
        vm.prank(account);
    }

    function _post() internal {
        _post(rules);
    }

    function _post(Terms memory terms) internal {
        _as(owner);
        id = market.post(terms);
    }

    function _join(uint256 k) internal {
        _join(k, rules.stake);
    }

    function _join(uint256 k, uint96 stake) internal {
        if (token.balanceOf(_provider(k)) == 0) _fund(_provider(k));
        _as(_provider(k));
        market.join(id, stake, bytes32(k + 1), "/ip4/127.0.0.1/tcp/4001");
    }

    function _leave(uint256 k) internal {
        _as(_provider(k));
        market.leave(id);
    }

    function _withdraw(uint256 k) internal {
        _as(_provider(k));
        market.withdrawStake(id);
    }

    function _forfeit(uint256 k) internal {
        _as(rival);
        market.forfeit(id, _provider(k));
    }

    function _withdrawBond(address account) internal {
        _as(account);
        market.withdrawBond(id);
    }

    function _cancel() internal {
        _as(owner);
        market.cancel(id);
    }

    function _settle() internal {
        _as(rival);
        market.settle(id);
    }

    function _refund() internal {
        _as(rival);
        market.refund(id);
    }

    function _claimLapsed(uint256 k, uint16 round) internal {
        bytes32 updateRoot = _updateRoot(k, round);
        _as(_provider(k));
        market.claimLapsed(id, round, updateRoot);
    }

    function _bond(address account) internal {
        _as(account);
        market.depositBond(id);
    }

    /// @dev A posted bounty with `count` members in its first commit phase.
    function _open(Terms memory terms, uint256 count) internal {
        _post(terms);
        for (uint256 k = 0; k < count; ++k) {
            _join(k);
        }
        _bond(aggregator);
    }

    function _open(uint256 count) internal {
        _open(rules, count);
    }

    function _commit(uint256 k) internal {
        uint16 round = _round();
        bytes32 commitment = _commitment(k, round);
        _as(_provider(k));
        market.commit(id, round, commitment);
    }

    function _reveal(uint256 k) internal {
        uint16 round = _round();
        bytes32 updateRoot = _updateRoot(k, round);
        _as(_provider(k));
        market.reveal(id, round, _cid(k, round), updateRoot, _salt(k, round));
    }

    /// @dev Commits and reveals of providers 0 .. count - 1, then to the merge phase.
    function _updates(uint256 count) internal {
        for (uint256 k = 0; k < count; ++k) {
            _commit(k);
        }
        _warpTo(Phase.Reveal);
        for (uint256 k = 0; k < count; ++k) {
            _reveal(k);
        }
        _warpTo(Phase.Merge);
    }

    /// @dev `committed` providers commit, the first `revealed` of them reveal; then the merge phase.
    function _updates(uint256 revealed, uint256 committed) internal {
        for (uint256 k = 0; k < committed; ++k) {
            _commit(k);
        }
        _warpTo(Phase.Reveal);
        for (uint256 k = 0; k < revealed; ++k) {
            _reveal(k);
        }
        _warpTo(Phase.Merge);
    }

    /// @dev Merge the present round with the payout tree in `leaves`.
    function _merge(address account, uint96 paid) internal {
        _merge(account, _claimOf(paid, 0, ""));
    }

    function _merge(address account, MergeClaim memory newMerge) internal {
        uint16 round = _round();
        (vestsAt, recordHash) = (_now() + rules.challengeSeconds, _recordHash(newMerge));
        _as(account);
        market.merge(id, round, newMerge);
    }

    function _claim(uint256 k, uint16 round, uint96 cumulative) internal {
        bytes32[] memory proof = Trees.proof(leaves, k);
        _as(_provider(k));
        market.claim(id, round, cumulative, proof);
    }

    /// @dev Wait until time alone has brought the bounty to `phase`.
    function _warpTo(Phase phase) internal {
        for (uint256 k = 0; k < 8 && _clock().phase != phase; ++k) {
            vm.warp(_clock().endsAt);
        }
        assertEq(uint256(_clock().phase), uint256(phase), "phase");
    }

    // --- what people would show ---

    function _updateRoot(uint256 k, uint16 round) internal view virtual returns (bytes32) {
        return _rootOf(keccak256(abi.encode("top", k, round)), NORM);
    }

    function _rootOf(bytes32 hash, uint64 squaredNorm) internal pure returns (bytes32) {
        return SumNode.unwrap(SumTreeLib.node(hash, squaredNorm));
    }

    function _cid(uint256 k, uint16 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("cid", k, round));
    }

    function _salt(uint256 k, uint16 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", k, round));
    }

    function _commitment(uint256 k, uint16 round) internal view returns (bytes32) {
        return _commitment(_provider(k), round, _updateRoot(k, round), _salt(k, round));
    }

    function _commitment(address account, uint16 round, bytes32 updateRoot, bytes32 salt)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(market), id, round, account, updateRoot, salt));
    }

    /// @dev A payout tree in which provider k has `cumulative[k]`.
    function _setPayouts(uint96[] memory cumulative) internal {
        delete leaves;
        for (uint32 k = 0; k < cumulative.length; ++k) {
            leaves.push(ChunkTreeLib.payoutLeaf(k, _provider(k), cumulative[k]));
        }
    }

    /// @dev A payout tree in which each of `count` providers has `cumulative`.
    function _setEqualPayouts(uint256 count, uint96 cumulative) internal {
        uint96[] memory all = new uint96[](count);
        for (uint256 k = 0; k < count; ++k) {
            all[k] = cumulative;
        }
        _setPayouts(all);
    }

    function _claimOf(uint96 paid, uint256 rejected, bytes memory reasons) internal view returns (MergeClaim memory) {
        return MergeClaim({
            stateRoot: keccak256("state"),
            stateCid: keccak256("state cid"),
            reportCid: keccak256("report cid"),
            payoutRoot: leaves.length == 0 ? keccak256("payouts") : Trees.payoutRoot(leaves),
            paid: paid,
            payoutLeaves: _clock().memberCount,
            metric: 0,
            rejected: rejected,
            reasons: reasons,
            scalesHash: 0,
            distancesHash: 0,
            clipCid: 0
        });
    }

    /// @dev Written out again, so that the library is tested against docs/PROTOCOL.md and not against itself.
    function _recordHash(MergeClaim memory newMerge) internal view returns (bytes28) {
        return bytes28(
            keccak256(
                abi.encode(
                    uint256(_now()),
                    newMerge.stateRoot,
                    newMerge.stateCid,
                    newMerge.reportCid,
                    uint256(newMerge.payoutLeaves),
                    uint256(newMerge.metric),
                    newMerge.rejected,
                    keccak256(newMerge.reasons),
                    newMerge.scalesHash,
                    newMerge.distancesHash,
                    newMerge.clipCid
                )
            )
        );
    }

    /// @dev The latest round with a merge.
    function _mergedRound() internal view returns (uint16 round) {
        for (round = _round(); round > 0 && market.mergeOf(id, round).vestsAt == 0; --round) {}
    }

    // --- reading ---

    function _clock() internal view returns (Clock memory) {
        return market.clock(id);
    }

    function _round() internal view returns (uint16) {
        return market.clock(id).round;
    }

    function _now() internal view returns (uint32) {
        return uint32(this.time());
    }

    function _share(uint16 round) internal view returns (uint96) {
        (uint256 pot, uint256 rounds) = (rules.pot, rules.rounds);
        return uint96(pot * round / rounds - pot * (round - 1) / rounds);
    }

    function _assertPhase(Phase phase, uint16 round) internal view {
        assertEq(uint256(_clock().phase), uint256(phase), "phase");
        assertEq(_clock().round, round, "round");
    }

    function _balance(address account) internal view returns (uint256) {
        return token.balanceOf(account);
    }

    function _standing(uint256 k) internal view returns (Provider memory) {
        return market.provider(id, _provider(k));
    }

    function _assertMoney(uint256 owed, uint256 free) internal view {
        (uint96 nowOwed, uint128 nowFree) = market.money(id);
        assertEq(nowOwed, owed, "owed");
        assertEq(nowFree, free, "free");
    }
}
