// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, MergeRule, PrivacyMode} from "../src/Types.sol";
import {ChunkKind, Demanded, IChunkDemands} from "../src/interfaces/IChunkDemands.sol";
import {ICases} from "../src/interfaces/ICases.sol";
import {Opening} from "../src/interfaces/IFraudProofs.sol";
import {IMaskBoard} from "../src/interfaces/IMaskBoard.sol";
import {IMaskProofs} from "../src/interfaces/IMaskProofs.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {MaskTest} from "./support/MaskTest.sol";

/// @notice Proofs about the merge of masked sums, and demands for what is missing of it: they take the bond of whoever
/// lied, and nothing from whoever did not.
/// forge-config: default.fuzz.runs = 16
/// forge-config: ci.fuzz.runs = 24
contract MaskProofsTest is MaskTest {
    /// @dev Update `_liar` has `_lie` at every coordinate.
    uint256 private _liar = type(uint256).max;
    int256 private _lie;

    function _plain(uint256 k, uint256 coordinate) internal view override returns (int256) {
        return k == _liar ? _lie : super._plain(k, coordinate);
    }

    // --- steps ---

    function _provesCoordinate(uint8 coordinate, uint256 rejected) private {
        bytes memory packed = _packedMasked(_accepted(rejected));
        _provesCoordinate(coordinate, packed);
    }

    function _provesCoordinate(uint8 coordinate, bytes memory packed) private {
        Opening memory beforehand_ = _before();
        Opening memory afterwards_ = _after();
        _as(PROVER);
        masks.proveMaskedCoordinate(_disputed(), chunk, coordinate, beforehand_, afterwards_, packed, table);
    }

    // --- coordinates ---

    function testFuzz_proveMaskedCoordinate__ofAnHonestMerge__isRefused(uint256 dice, uint8 rule, uint8 updates)
        public
    {
        _setRule(rule, dice);
        (groups, dropped) = (1 + dice % 3, dice >> 2 & 3);
        _maskedRound(bound(updates, 3, 7));
        // a whole group is left out, or nobody
        uint256 rejected = dice >> 4 & 1 == 0 ? 0 : _wholeGroup(dice >> 5);
        _post(_honestMasked(rejected));
        _refused(ICases.NoFault.selector);
        _provesCoordinate(uint8(dice % COORDINATES), rejected);
    }

    function _wholeGroup(uint256 dice) private view returns (uint256 bits) {
        for (uint256 k = dice % groups; k < count; k += groups) {
            bits |= 1 << k;
        }
    }

    function testFuzz_proveMaskedCoordinate__ofAMergeThatIsWrongThere__voidsIt(uint256 dice, uint8 rule, int8 offBy)
        public
    {
        vm.assume(offBy != 0);
        _setRule(rule, dice);
        dropped = 2;
        _maskedRound(6);
        MergeClaim memory made = _honestMasked(0);
        uint256 at = dice % (COORDINATES * _planes());
        _spoil(made, at, offBy);
        _post(made);
        _refused(ICases.NoFault.selector);
        _provesCoordinate(uint8((at + 1) % COORDINATES), 0);
        uint256 balance = _balance(PROVER);
        _provesCoordinate(uint8(at % COORDINATES), 0);
        _assertVoided(PROVER, balance);
    }

    function testFuzz_proveMaskedCoordinate__whenAMemberSendsMoreThanTheGridHas__countsTheMost(int32 lie) public {
        (_liar, _lie, spread, groups) = (1, lie, 1_000, 1);
        _maskedRound(3);
        table = _tableOf(_accepted(0));
        afterwards = beforehand;
        int256 sum = _plain(0, 7) + _lie + _plain(2, 7);
        sum = int32(sum); // all is modulo 2^32
        sum = sum > 98_301 ? int256(98_301) : (sum < -98_301 ? -98_301 : sum);
        bytes memory right = beforehand;
        int256 mean = sum * 256 >= 0 ? sum * 256 / 3 : -((-sum * 256 + 2) / 3);
        _write(right, 7, _read(beforehand, 7) + mean);
        afterwards = right;
        _post(_maskedClaim(0));
        _refused(ICases.NoFault.selector);
        _provesCoordinate(7, 0);
    }

    function test_proveMaskedCoordinate__withAnUpdateLeftOut__isRefused() public {
        _post(_sixMembers());
        _refused(abi.encodeWithSelector(ICases.WrongUpdateCount.selector, 4, 5));
        _provesCoordinate(0, 1);
    }

    function test_proveMaskedCoordinate__withUpdatesInAnotherOrder__isRefused() public {
        _post(_sixMembers());
        uint256[] memory order = _accepted(0);
        (order[1], order[2]) = (order[2], order[1]);
        _refused(abi.encodeWithSelector(ICases.WrongUpdate.selector, 1, _updateRoot(2, 1)));
        _provesCoordinate(0, _packedMasked(order));
    }

    function test_proveMaskedCoordinate__withAnotherTable__isRefused() public {
        _post(_sixMembers());
        _setByte(table.length - 1, uint8(table[table.length - 1]) ^ 1);
        _refused(ICases.WrongPreimage.selector);
        _provesCoordinate(0, 0);
    }

    function test_proveMaskedCoordinate__underAMalformedTable__isRefused() public {
        _sixMembers();
        table = abi.encodePacked(table, uint8(0));
        _postTable();
        _refused(IMaskProofs.MalformedTable.selector);
        _provesCoordinate(0, 0);
    }

    function test_proveMaskedCoordinate__ofAnOpenBounty__isRefused() public {
        rules.privacy = PrivacyMode.Open;
        _post(_sixMembers());
        _refused(ICases.WrongMode.selector);
        _provesCoordinate(0, 0);
    }

    function test_proveMaskedCoordinate__beyondTheChunk__isRefused() public {
        _post(_sixMembers());
        _refused(abi.encodeWithSelector(ICases.OutOfRange.selector, 128, 128));
        _provesCoordinate(128, 0);
    }

    function test_proveMaskedCoordinate__onceVested__isRefused() public {
        MergeClaim memory made = _sixMembers();
        _spoil(made, 9, 1);
        _post(made);
        vm.warp(vestsAt);
        _refused(abi.encodeWithSelector(ErrorsLib.AlreadyVested.selector, vestsAt));
        _provesCoordinate(9, 0);
    }

    function test_proveCoordinate__ofAMaskedBounty__isRefused() public {
        _post(_sixMembers());
        Opening memory beforehand_ = _before();
        Opening memory afterwards_ = _after();
        _refused(ICases.WrongMode.selector);
        _as(PROVER);
        proofs.proveCoordinate(_disputed(), chunk, 0, beforehand_, afterwards_, "", "");
    }

    // --- demands ---

    function _demand(ChunkKind kind, bytes32 key, uint256 index)
        private
        returns (IChunkDemands demands, uint256 asked)
    {
        demands = IChunkDemands(market.demands());
        if (token.allowance(rival, address(demands)) == 0) {
            vm.prank(rival);
            token.approve(address(demands), type(uint256).max);
        }
        _as(rival);
        asked = demands.demand(Demanded(id, 1, kind, key, uint32(index)), record);
    }

    function test_demand__ofAMaskedChunkItsKeysAndTheTable__takesTheRightAnswers() public {
        _post(_sixMembers());
        bytes32 root = _updateRoot(1, 1);
        (IChunkDemands demands, uint256 asked) = _demand(ChunkKind.Update, root, chunk);
        _answers(demands, asked, _content(1, 1), _siblings(1, chunk));
        (, asked) = _demand(ChunkKind.Update, root, rules.chunks);
        _answers(demands, asked, _keyLeaf(1), _siblings(1, rules.chunks));
        (, asked) = _demand(ChunkKind.Masks, 0, 0);
        _answers(demands, asked, table, "");
        _refused(abi.encodeWithSelector(IChunkDemands.OutOfRange.selector, rules.chunks + 1, rules.chunks + 1));
        _demand(ChunkKind.Update, root, rules.chunks + 1);
    }

    function _answers(IChunkDemands demands, uint256 asked, bytes memory content, bytes memory siblings) private {
        bytes memory wrong = bytes.concat(content);
        wrong[wrong.length - 1] ^= 0x01;
        vm.expectRevert(abi.encodePacked(IChunkDemands.WrongContent.selector));
        demands.answer(asked, record, wrong, siblings);
        demands.answer(asked, record, content, siblings);
        assertEq(demands.demandOf(asked).demander, address(0), "settled");
    }

    function test_demand__ofATableThatIsNotShown__voidsTheMerge() public {
        _post(_sixMembers());
        uint256 balance = _balance(rival);
        (IChunkDemands demands, uint256 asked) = _demand(ChunkKind.Masks, 0, 0);
        vm.warp(_now() + rules.answerSeconds);
        demands.expire(asked);
        _assertVoided(rival, balance);
    }

    function test_demand__ofATableInAnOpenBounty__isRefused() public {
        rules.privacy = PrivacyMode.Open;
        _post(_sixMembers());
        _refused(abi.encodeWithSelector(IChunkDemands.OutOfRange.selector, 5, 5));
        _demand(ChunkKind.Masks, 0, 0);
    }

    // --- the board ---

    function test_announce__byAnyone__emitsWhoAndWhat() public {
        IMaskBoard board = masks.board();
        vm.expectEmit(address(board));
        emit IMaskBoard.Announced(id, 3, PROVER, keccak256("cid"));
        vm.prank(PROVER);
        board.announce(id, 3, keccak256("cid"));
    }
}
