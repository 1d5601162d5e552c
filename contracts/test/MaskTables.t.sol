// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICases} from "../src/interfaces/ICases.sol";
import {Opening} from "../src/interfaces/IFraudProofs.sol";
import {MaskTest} from "./support/MaskTest.sol";

/// @notice Proofs about the table of seeds that masks are taken away by: its form, each seed, and whose masks they are. They
/// take the bond of whoever lied, and nothing from whoever did not.
/// forge-config: default.fuzz.runs = 16
/// forge-config: ci.fuzz.runs = 24
contract MaskTablesTest is MaskTest {
    uint256 private constant ENTRY = 34;

    /// @dev Update `_faulty` commits to this key leaf.
    uint256 private _faulty = type(uint256).max;
    bytes private _faultyLeaf;

    function _keyLeaf(uint256 k) internal view override returns (bytes memory) {
        return k == _faulty ? _faultyLeaf : super._keyLeaf(k);
    }

    // --- steps ---

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

    function _cut(uint256 length) private {
        bytes memory spoilt = table;
        assembly ("memory-safe") {
            mstore(spoilt, length)
        }
        table = spoilt;
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
}
