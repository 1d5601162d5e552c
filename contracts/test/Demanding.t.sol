// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MergeClaim} from "../src/Types.sol";
import {ChunkKind, Demanded, IChunkDemands} from "../src/interfaces/IChunkDemands.sol";
import {BlockingToken} from "./support/HostileTokens.sol";
import {ProofTest} from "./support/ProofTest.sol";

/// @notice Demands as a liar would use them: to make leaves undemandable, or to put a vesting off for nothing.
contract DemandingTest is ProofTest {
    address private constant ASKER = address(0xA5C);

    IChunkDemands private _demands;

    function setUp() public override {
        super.setUp();
        _demands = IChunkDemands(market.demands());
        _fund(ASKER);
        vm.prank(ASKER);
        token.approve(address(_demands), type(uint256).max);
    }

    function _demand(ChunkKind kind, uint32 index) private returns (uint256) {
        _as(ASKER);
        return _demands.demand(Demanded(id, 1, kind, 0, index), record);
    }

    function _answersPayout(uint256 asked, uint16 seat) private {
        bytes memory siblings = _payout(seat, 0).siblings;
        uint96 cumulative = uint96(_share(1) / count);
        _as(ASKER);
        _demands.answer(asked, record, abi.encodePacked(_provider(seat), cumulative), siblings);
    }

    /// @dev The liar demands every leaf of a merge that it then has voided for its sum, and posts the same record with
    /// the root of leaves that nobody else knows.
    function test_demand__ofWhatWasDemandedOfTheVoidedMerge__isTakenAgain() public {
        _revealed(3);
        MergeClaim memory made = _honest(0);
        made.paid -= 1;
        _post(made);
        for (uint16 seat = 0; seat < 3; ++seat) {
            uint256 asked = _demand(ChunkKind.Payout, seat);
            if (seat != 2) _answersPayout(asked, seat);
        }
        bytes32[] memory roots = _roots(_accepted(0));
        _as(ASKER);
        proofs.provePaid(_disputed(), roots, address(0));
        _demands.expire(3);
        _bond(rival);
        skip(1);
        (made.payoutRoot, made.paid) = (keccak256("leaves that nobody knows"), made.paid + 1);
        _merge(rival, made);
        record.mergedAt = _now();
        for (uint16 seat = 0; seat < 3; ++seat) {
            assertEq(_demand(ChunkKind.Payout, seat), 4 + seat, "demanded again");
        }
        vm.warp(_now() + rules.answerSeconds);
        _demands.expire(4);
        assertEq(market.mergeOf(id, 1).vestsAt, 0, "void");
    }

    /// @dev One demand after another, each in the last second. Nobody is shown the `k`-th before.
    function _demandNext(uint256 k) private {
        bool isState = k < rules.chunks;
        bytes32 key = isState ? bytes32(0) : _updateRoot(k / rules.chunks - 1, 1);
        ChunkKind kind = isState ? ChunkKind.State : ChunkKind.Update;
        _as(ASKER);
        _demands.demand(Demanded(id, 1, kind, key, uint32(k % rules.chunks)), record);
    }

    /// @dev What the demander answers itself costs it nothing but gas.
    function test_demand__answeredByItsDemander__putsTheVestingOffForSoLongAndNoLonger() public {
        rules.answerSeconds = 40;
        _revealed(3);
        _post(_honest(0));
        uint32 latest = record.mergedAt + rules.challengeSeconds + 63 * uint32(rules.answerSeconds);
        uint256 balance = _balance(ASKER);
        vm.warp(vestsAt - 1);
        _answersPayout(_demand(ChunkKind.Payout, 0), 0);
        assertEq(_balance(ASKER), balance, "the fee is back");
        assertEq(market.mergeOf(id, 1).vestsAt, vestsAt - 1 + 80, "put off");
        uint256 asked = 0;
        for (; market.mergeOf(id, 1).vestsAt <= latest - 40; ++asked) {
            vm.warp(market.mergeOf(id, 1).vestsAt - 1);
            _demandNext(asked);
        }
        vm.warp(latest - 39);
        _refused(abi.encodeWithSelector(IChunkDemands.TooLate.selector, latest));
        _demandNext(asked);
        vm.warp(latest - 40);
        _demandNext(asked);
        assertEq(market.mergeOf(id, 1).vestsAt, latest + 40, "and no longer");
    }
}

/// @notice A demand whose demander the token can't be sent to, as a liar could arrange with a token that asks receivers.
contract DemandingBlockedTest is ProofTest {
    address private constant ASKER = address(0xA5C);

    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new BlockingToken()));
    }

    function test_expire__whenItsDemanderIsBlocked__voidsTheMergeForTheCaller() public {
        IChunkDemands demands = IChunkDemands(market.demands());
        _fund(ASKER);
        vm.prank(ASKER);
        token.approve(address(demands), type(uint256).max);
        _revealed(3);
        _post(_honest(0));
        _as(ASKER);
        uint256 asked = demands.demand(Demanded(id, 1, ChunkKind.State, 0, chunk), record);
        vm.warp(_now() + rules.answerSeconds);
        BlockingToken(address(token)).setBlocked(ASKER, true);
        uint256 balance = _balance(rival);
        _as(rival);
        demands.expire(asked);
        _assertVoided(rival, balance);
        assertEq(_balance(ASKER), FORTUNE - rules.demandFee, "the fee is forgone");
    }
}
