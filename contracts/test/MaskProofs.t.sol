// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, MergeRule, PrivacyMode} from "../src/Types.sol";
import {ChunkKind, Demanded, IChunkDemands} from "../src/interfaces/IChunkDemands.sol";
import {ICases} from "../src/interfaces/ICases.sol";
import {IFraudProofs, Opening} from "../src/interfaces/IFraudProofs.sol";
import {IMaskBoard} from "../src/interfaces/IMaskBoard.sol";
import {IMaskProofs} from "../src/interfaces/IMaskProofs.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {MaskTest} from "./support/MaskTest.sol";

/// @notice Every proof about masks: it takes the bond of whoever lied, and nothing from whoever did not.
/// forge-config: default.fuzz.runs = 16
/// forge-config: ci.fuzz.runs = 24
contract MaskProofsTest is MaskTest {
    address private constant PROVER = address(0xFACE);
    uint256 private constant ENTRY = 34;

    /// @dev Update `_liar` has `_lie` at every coordinate.
    uint256 private _liar = type(uint256).max;
    int256 private _lie;

    /// @dev Update `_faulty` commits to this key leaf.
    uint256 private _faulty = type(uint256).max;
    bytes private _faultyLeaf;

    function _plain(uint256 k, uint256 coordinate) internal view override returns (int256) {
        return k == _liar ? _lie : super._plain(k, coordinate);
    }

    function _keyLeaf(uint256 k) internal view override returns (bytes memory) {
        return k == _faulty ? _faultyLeaf : super._keyLeaf(k);
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

    function _provesTable() private {
        _as(PROVER);
        masks.proveTable(_disputed(), table);
    }

    function _provesSeed(uint256 position, uint256 mask) private {
        bytes32 root = _updateRoot(position, 1);
        Opening memory keys = _keys(position);
        _as(PROVER);
        masks.proveSeed(_disputed(), position, mask, root, keys, table);
    }

    function _provesMasks(uint256 position) private {
        bytes32[] memory roots = _roots(_accepted(0));
        Opening memory keys = _keys(position);
        _as(PROVER);
        masks.proveMasks(_disputed(), position, roots, keys, table);
    }

    /// @dev Post an honest state with `table` as the test left it.
    function _postTable() private {
        _post(_maskedClaim(0));
    }

    /// @dev An honest claim of six members in two groups, of whom the last did not reveal.
    function _sixMembers() private returns (MergeClaim memory) {
        dropped = 1;
        _maskedRound(5);
        return _honestMasked(0);
    }

    function _setByte(uint256 at, uint256 value) private {
        bytes memory spoilt = table;
        spoilt[at] = bytes1(uint8(value));
        table = spoilt;
    }

    function _cut(uint256 length) private {
        bytes memory spoilt = table;
        assembly ("memory-safe") {
            mstore(spoilt, length)
        }
        table = spoilt;
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

    function _setRule(uint8 rule, uint256 dice) private {
        rules.mergeRule = MergeRule(rule % 3);
        uint256 beta = dice % 3 == 0 ? dice % 65_536 : 0;
        uint256 trim = rules.mergeRule == MergeRule.TrimmedMean ? 1 : 0;
        rules.mergeParameters = bytes32((dice >> 7) % 200_000 + 1 | beta << 32 | trim << 48);
        spread = dice % 2 == 0 ? 32_767 : 3;
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

    // --- the table's form ---

    function testFuzz_proveTable__ofAnHonestMerge__isRefused(uint8 updates, uint8 groups_, uint8 dropped_) public {
        (groups, dropped) = (1 + groups_ % 3, dropped_ % 4);
        _maskedRound(bound(updates, 2, 7));
        _post(_honestMasked(0));
        _refused(ICases.NoFault.selector);
        _provesTable();
    }

    function test_proveTable__ofTheEmptyTableOfNothing__isRefused() public {
        _maskedRound(3);
        _post(_honestMasked(7));
        assertEq(table.length, 0, "no rows");
        _refused(ICases.NoFault.selector);
        _provesTable();
    }

    function testFuzz_proveTable__ofAShortOrLongOne__voidsTheMerge(uint256 length) public {
        _sixMembers();
        length = bound(length, 0, table.length - 1);
        if (length % 2 == 0) table = abi.encodePacked(table, uint8(length));
        else _cut(length);
        _provesMalformed();
    }

    /// @dev Rows of members 1 and 3, whose peer 5 dropped, have two masks; those of 0, 2 and 4 have one.
    function test_proveTable__ofOneThatIsNotWellFormed__voidsTheMerge() public {
        _sixMembers();
        uint256 honest = vm.snapshotState();
        uint256 second = 2 + ENTRY;
        uint256[2][9] memory spoilt = [
            [uint256(1), 0], // no masks
            [uint256(0), 1], // groups begin at 1
            [second, 2], // a group is left out
            [uint256(2), 14], // no such slot
            [uint256(3), 1], // one's own mask is subtracted
            [second + 2, 14], // no such slot
            [second + 2, 255], // one's own mask twice
            [second + 3, 2], // no such sign
            [second + 2 + ENTRY, 1] // a slot twice
        ];
        for (uint256 k = 0; k < spoilt.length; ++k) {
            _setByte(spoilt[k][0], spoilt[k][1]);
            _provesMalformed();
            vm.revertToState(honest);
        }
    }

    function _provesMalformed() private {
        _postTable();
        uint256 balance = _balance(PROVER);
        _provesTable();
        _assertVoided(PROVER, balance);
    }

    // --- seeds ---

    function test_proveSeed__ofAnySeedOfAnHonestMerge__isRefused() public {
        _post(_sixMembers());
        for (uint256 k = 0; k < 5; ++k) {
            uint256 taken = k % 2 == 0 ? 1 : 2;
            for (uint256 mask = 0; mask < taken; ++mask) {
                _refused(ICases.NoFault.selector);
                _provesSeed(k, mask);
            }
            _refused(abi.encodeWithSelector(ICases.OutOfRange.selector, taken, taken));
            _provesSeed(k, taken);
        }
    }

    /// @dev Update 1 is the second; its masks are that with member 5 and its own.
    function testFuzz_proveSeed__ofAnotherSeed__voidsTheMerge(uint256 at, bool own, uint8 flip) public {
        vm.assume(flip != 0);
        _sixMembers();
        uint256 place = 2 + ENTRY + 2 + (own ? ENTRY : 0) + 2 + at % 32;
        _setByte(place, uint8(table[place]) ^ flip);
        _provesSeedWrong(own ? 1 : 0);
    }

    function test_proveSeed__withTheWrongSign__voidsTheMerge() public {
        _sixMembers();
        _setByte(2 + ENTRY + 3, 1);
        _provesSeedWrong(0);
    }

    function _provesSeedWrong(uint256 mask) private {
        _postTable();
        _refused(ICases.NoFault.selector);
        _provesSeed(1, 1 - mask);
        uint256 balance = _balance(PROVER);
        _provesSeed(1, mask);
        _assertVoided(PROVER, balance);
    }

    function test_proveSeed__ofAPeerThatIsNotThere__isForProveMasks() public {
        _sixMembers();
        _setByte(2 + ENTRY + 2, 2);
        _postTable();
        _refused(abi.encodeWithSelector(ICases.OutOfRange.selector, 2, 2));
        _provesSeed(1, 0);
        uint256 balance = _balance(PROVER);
        _provesMasks(1);
        _assertVoided(PROVER, balance);
    }

    function test_proveSeed__withTheLeafOfAnotherUpdate__isRefused() public {
        _post(_sixMembers());
        bytes32 root = _updateRoot(3, 1);
        Opening memory keys = _keys(3);
        _refused(abi.encodeWithSelector(ICases.WrongUpdate.selector, 1, root));
        _as(PROVER);
        masks.proveSeed(_disputed(), 1, 0, root, keys, table);
        bytes32 own = _updateRoot(1, 1);
        vm.expectRevert();
        masks.proveSeed(_disputed(), 1, 0, own, keys, table);
    }

    // --- which masks ---

    function testFuzz_proveMasks__ofAnHonestMerge__isRefused(uint8 updates, uint8 groups_, uint8 dropped_) public {
        (groups, dropped) = (1 + groups_ % 3, dropped_ % 4);
        _maskedRound(bound(updates, 2 * groups, 7));
        _post(_honestMasked(0));
        for (uint256 k = 0; k < count; ++k) {
            _refused(ICases.NoFault.selector);
            _provesMasks(k);
        }
    }

    function _provesMasksWrong(uint256 position) private {
        _postTable();
        uint256 balance = _balance(PROVER);
        _provesMasks(position);
        _assertVoided(PROVER, balance);
    }

    function test_proveMasks__withoutTheOwnMask__voidsTheMerge() public {
        _sixMembers();
        uint256 row = 2 + ENTRY;
        bytes memory before = table;
        table = "";
        for (uint256 k = 0; k < before.length; ++k) {
            bool isOwn = k >= row + 2 + ENTRY && k < row + 2 + 2 * ENTRY;
            if (!isOwn) table.push(before[k]);
        }
        _setByte(row + 1, 1);
        _provesMasksWrong(1);
    }

    function test_proveMasks__withoutThatOfADroppedPeer__voidsTheMerge() public {
        dropped = 1;
        _maskedRound(5);
        table = _tableOf(_accepted(0));
        _honestMasked(0);
        (dropped, groups) = (0, 2);
        bytes memory without = _tableOf(_accepted(0));
        dropped = 1;
        table = without;
        _provesMasksWrong(1);
    }

    function test_proveMasks__withThatOfAnAcceptedPeer__voidsTheMerge() public {
        _sixMembers();
        bytes memory row = abi.encodePacked(uint8(0), uint8(2), uint8(1), uint8(0), _pairSeed(0, 4));
        bytes memory rest = table;
        for (uint256 k = 2; k < rest.length; ++k) {
            row = abi.encodePacked(row, rest[k]);
        }
        table = row;
        _provesMasksWrong(0);
    }

    function test_proveMasks__ofAPeerInAnotherGroup__voidsTheMerge() public {
        _sixMembers();
        uint256 last = table.length - 2 - ENTRY;
        _setByte(last, 2);
        uint256 posted = vm.snapshotState();
        _provesMasksWrong(4);
        vm.revertToState(posted);
        _provesMasksWrong(0);
    }

    function test_proveMasks__ofAStrangerInTheGroup__voidsTheMerge() public {
        groups = 3;
        _maskedRound(6);
        _honestMasked(0);
        _setByte(table.length - 2 - ENTRY, 1);
        uint256 posted = vm.snapshotState();
        _provesMasksWrong(1);
        vm.revertToState(posted);
        _postTable();
        _refused(ICases.NoFault.selector);
        _provesMasks(0);
    }

    function testFuzz_proveMasks__ofAMalformedKeyLeaf__voidsTheMerge(uint8 which, uint8 flip) public {
        vm.assume(flip != 0);
        // own index, number of peers, unused, a peer's index, beyond the peers
        uint256[6] memory places = [uint256(0), 1, 3, 37, 36 + 2 * ENTRY, 511];
        dropped = 1;
        count = 5;
        bytes memory leaf = _keyLeaf(1);
        uint256 at = places[which % 6];
        leaf[at] = bytes1(uint8(leaf[at]) ^ flip);
        if (at == 37) leaf[at] = leaf[1]; // itself
        (_faulty, _faultyLeaf) = (1, leaf);
        _maskedRound(5);
        _honestMasked(0);
        _provesMasksWrong(1);
    }

    function test_proveMasks__ofTooManyPeers__voidsTheMerge() public {
        (groups, dropped, count) = (1, 14, 2);
        (_faulty, _faultyLeaf) = (2, "");
        bytes memory entries;
        for (uint256 j = 1; j < 16; ++j) {
            entries = abi.encodePacked(entries, uint16(j), keccak256(abi.encode(_pairSeed(0, j))));
        }
        bytes32 own = keccak256(abi.encode(_selfSeed(0)));
        (_faulty, _faultyLeaf) = (0, _tooLong(abi.encodePacked(uint16(0), uint8(15), uint8(0), own, entries)));
        (groups, dropped) = (2, 0);
        _maskedRound(2);
        _honestMasked(0);
        _provesMasksWrong(0);
    }

    /// @dev The first 512 bytes.
    function _tooLong(bytes memory leaf) private pure returns (bytes memory) {
        assembly ("memory-safe") {
            mstore(leaf, 512)
        }
        return leaf;
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
