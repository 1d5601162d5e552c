// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChunkKind, Demanded, IChunkDemands} from "../src/interfaces/IChunkDemands.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {ProofTest} from "./support/ProofTest.sol";

/// @notice Demands for chunks: answered, they cost a fee; unanswered, they cost a bond.
contract ChunkDemandsTest is ProofTest {
    address private constant ASKER = address(0xA5C);

    IChunkDemands private _demands;

    function setUp() public override {
        super.setUp();
        _demands = IChunkDemands(market.demands());
        _fund(ASKER);
        vm.prank(ASKER);
        token.approve(address(_demands), type(uint256).max);
    }

    function _demand() private returns (uint256) {
        _as(ASKER);
        return _demands.demand(Demanded(id, 1, ChunkKind.State, 0, chunk), record);
    }

    function test_answer__inTime__takesTheFeeAndLetsTheMergeStand() public {
        _revealed(3);
        _post(_honest(0));
        uint256 asked = _demand();
        assertEq(_balance(address(_demands)), rules.demandFee, "the fee is held");
        uint256 balance = _balance(aggregator);
        bytes memory siblings = _stateSiblings("after");
        _as(aggregator);
        _demands.answer(asked, record, afterwards, siblings);
        assertEq(_balance(aggregator), balance + rules.demandFee, "fee");
        assertEq(_balance(address(_demands)), 0, "nothing stays");
        vm.expectRevert(abi.encodePacked(IChunkDemands.UnknownDemand.selector));
        _demands.expire(asked);
        (uint96 bond,) = market.bondOf(id, aggregator);
        assertEq(bond, rules.bond, "bond");
    }

    function test_answer__withAnotherChunk__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        uint256 asked = _demand();
        bytes memory siblings = _stateSiblings("after");
        vm.expectRevert();
        _demands.answer(asked, record, beforehand, siblings);
    }

    function test_expire__ofAnUnansweredDemand__voidsTheMergeAndReturnsTheFee() public {
        _revealed(3);
        _post(_honest(0));
        uint256 balance = _balance(ASKER);
        uint256 asked = _demand();
        uint32 endsAt = _now() + rules.answerSeconds;
        vm.expectRevert(abi.encodeWithSelector(IChunkDemands.TooEarly.selector, endsAt));
        _demands.expire(asked);
        vm.warp(endsAt);
        bytes memory siblings = _stateSiblings("after");
        vm.expectRevert(abi.encodeWithSelector(IChunkDemands.TooLate.selector, endsAt));
        _demands.answer(asked, record, afterwards, siblings);
        _demands.expire(asked);
        _assertVoided(ASKER, balance);
        assertEq(_balance(address(_demands)), 0, "nothing stays");
    }

    function test_demand__inTheLastSecond__extendsTheWindow() public {
        _revealed(3);
        _post(_honest(0));
        vm.warp(vestsAt - 1);
        uint256 asked = _demand();
        assertEq(market.mergeOf(id, 1).vestsAt, _now() + 2 * rules.answerSeconds, "time to answer, time to prove");
        vm.warp(_now() + rules.answerSeconds);
        _demands.expire(asked);
        assertEq(market.mergeOf(id, 1).vestsAt, 0, "void");
    }

    function test_demand__ofAVestedMerge__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        vm.warp(vestsAt);
        _refused(abi.encodeWithSelector(ErrorsLib.AlreadyVested.selector, vestsAt));
        _demand();
    }

    function test_demand__twice__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        uint256 asked = _demand();
        _refused(abi.encodeWithSelector(IChunkDemands.AlreadyDemanded.selector, asked));
        _demand();
    }

    function test_demand__ofARejectedUpdate__isRefused() public {
        _revealed(3);
        _post(_honest(2));
        bytes32 root = _updateRoot(1, 1);
        _refused(IChunkDemands.NotAccepted.selector);
        _as(ASKER);
        _demands.demand(Demanded(id, 1, ChunkKind.Update, root, chunk), record);
    }

    function test_demand__ofAChunkThatDoesNotExist__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        chunk = rules.chunks;
        _refused(abi.encodeWithSelector(IChunkDemands.OutOfRange.selector, rules.chunks, rules.chunks));
        _demand();
    }
}
