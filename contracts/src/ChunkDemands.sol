// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {BountyId, Merge, MergeRecord, MergeRule, PrivacyMode, Reveal, Terms} from "./Types.sol";
import {ChunkKind, Demand, Demanded, IChunkDemands} from "./interfaces/IChunkDemands.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";
import {MaskLib} from "./libraries/MaskLib.sol";
import {MergeLib} from "./libraries/MergeLib.sol";
import {MergeRuleLib, Parameters} from "./libraries/MergeRuleLib.sol";
import {OpeningLib} from "./libraries/OpeningLib.sol";

/// @title ChunkDemands
/// @notice Takes demands for withheld chunks, their fees and their answers. Holds the fees of open demands, nothing else.
///
/// REENTRANCY. Every call writes before it calls out. A fee that arrives short makes the demand revert.
contract ChunkDemands is IChunkDemands {
    using MergeLib for MergeRecord;
    using OpeningLib for bytes;
    using SafeERC20 for IERC20;

    /// @dev No search for a fault takes more demands one after another: two trees of 24 levels, and what leads to them.
    uint256 private constant MOST_STEPS = 64;

    /// @inheritdoc IChunkDemands
    ITrainingMarket public immutable market;

    /// @inheritdoc IChunkDemands
    uint256 public demandCount;

    mapping(uint256 id => Demand) private _demands;

    /// @dev By what is demanded of which merge: nothing is demanded twice.
    mapping(bytes32 what => uint256 id) private _ids;

    constructor(ITrainingMarket newMarket) {
        market = newMarket;
    }

    /// @inheritdoc IChunkDemands
    function demandOf(uint256 id) external view returns (Demand memory) {
        return _demands[id];
    }

    /// @inheritdoc IChunkDemands
    function demand(Demanded calldata demanded, MergeRecord calldata record) external returns (uint256 id) {
        Merge memory merged = market.mergeOf(demanded.bounty, demanded.round);
        Terms memory terms = market.terms(demanded.bounty);
        require(merged.aggregator != address(0), NoMerge());
        require(record.hash() == merged.recordHash, WrongRecord());
        _checkRange(demanded, record, merged, terms);
        bytes32 what = keccak256(abi.encode(demanded, merged.recordHash));
        require(_ids[what] == 0, AlreadyDemanded(_ids[what]));

        id = ++demandCount;
        uint32 endsAt = uint32(block.timestamp) + terms.answerSeconds;
        uint256 latest =
            uint256(record.mergedAt) + terms.challengeSeconds + (MOST_STEPS - 1) * uint256(terms.answerSeconds);
        require(endsAt <= latest, TooLate(uint32(latest)));
        _ids[what] = id;
        _demands[id] = Demand(demanded, msg.sender, terms.demandFee, merged.recordHash, endsAt);

        emit ChunkDemanded(id, demanded.bounty, demanded.round, demanded, endsAt);

        market.extend(demanded.bounty, demanded.round, endsAt + terms.answerSeconds);
        uint256 expected = terms.token.balanceOf(address(this)) + terms.demandFee;
        terms.token.safeTransferFrom(msg.sender, address(this), terms.demandFee);
        uint256 balance = terms.token.balanceOf(address(this));
        require(balance == expected, WrongBalance(balance, expected));
    }

    /// @inheritdoc IChunkDemands
    function answer(uint256 id, MergeRecord calldata record, bytes calldata content, bytes calldata siblings) external {
        Demand memory asked = _demands[id];
        require(asked.demander != address(0), UnknownDemand());
        require(block.timestamp < asked.endsAt, TooLate(asked.endsAt));
        require(record.hash() == asked.recordHash, WrongRecord());
        Terms memory terms = market.terms(asked.demanded.bounty);
        _checkAnswer(asked.demanded, record, terms, content, siblings);

        delete _demands[id];

        emit ChunkAnswered(id, msg.sender, content, siblings);

        terms.token.safeTransfer(msg.sender, asked.fee);
    }

    /// @inheritdoc IChunkDemands
    function expire(uint256 id) external {
        Demand memory asked = _demands[id];
        require(asked.demander != address(0), UnknownDemand());
        Merge memory merged = market.mergeOf(asked.demanded.bounty, asked.demanded.round);
        bool stands = merged.recordHash == asked.recordHash && block.timestamp < merged.vestsAt;
        require(!stands || block.timestamp >= asked.endsAt, TooEarly(asked.endsAt));

        delete _demands[id];

        emit DemandEnded(id, stands);

        if (stands) _void(asked);
        // a demander that can't be paid must not hold the void up
        market.terms(asked.demanded.bounty).token.trySafeTransfer(asked.demander, asked.fee);
    }

    /// @dev For the demander, or for the caller where the demander can't be paid.
    function _void(Demand memory asked) private {
        (BountyId bounty, uint16 round) = (asked.demanded.bounty, asked.demanded.round);
        try market.voidMerge(bounty, round, asked.demander) {}
        catch {
            market.voidMerge(bounty, round, msg.sender);
        }
    }

    // --- checks ---

    /// @dev Refuse what no honest party could show.
    function _checkRange(
        Demanded calldata demanded,
        MergeRecord calldata record,
        Merge memory merged,
        Terms memory terms
    ) private view {
        ChunkKind kind = demanded.kind;
        uint256 size = terms.chunks;
        if (kind == ChunkKind.Payout) size = record.payoutLeaves;
        if (kind == ChunkKind.Update && _isMasked(terms)) size = MaskLib.leavesOf(size);
        if (kind == ChunkKind.Clip || kind == ChunkKind.Masks) size = 1;
        require(demanded.index < size, OutOfRange(demanded.index, size));
        if (kind == ChunkKind.Update) {
            Reveal memory shown = market.revealOf(demanded.bounty, demanded.round, demanded.key);
            require(shown.provider != address(0), NotAccepted());
            require(record.rejected >> shown.index & 1 == 0, NotAccepted());
        } else if (kind == ChunkKind.Clip || kind == ChunkKind.Distance) {
            require(terms.mergeRule == MergeRule.CenteredClip, OutOfRange(uint8(kind), uint8(ChunkKind.Clip)));
            uint256 pairs = kind == ChunkKind.Clip ? 1 : _pairs(record, merged, terms);
            require(uint256(demanded.key) < pairs, OutOfRange(uint256(demanded.key), pairs));
        } else {
            require(kind != ChunkKind.Masks || _isMasked(terms), OutOfRange(uint8(kind), uint8(ChunkKind.Masks)));
            require(demanded.key == 0, OutOfRange(uint256(demanded.key), 1));
        }
    }

    function _isMasked(Terms memory terms) private pure returns (bool) {
        return terms.privacy == PrivacyMode.Masked;
    }

    function _pairs(MergeRecord calldata record, Merge memory merged, Terms memory terms)
        private
        pure
        returns (uint256)
    {
        Parameters memory parameters = MergeRuleLib.unpack(terms.mergeParameters);
        uint256 accepted = MergeLib.acceptedCount(record.rejected, merged.reveals);
        return (accepted + parameters.bucket - 1) / parameters.bucket * parameters.iterations;
    }

    function _checkAnswer(
        Demanded memory demanded,
        MergeRecord calldata record,
        Terms memory terms,
        bytes calldata content,
        bytes calldata siblings
    ) private view {
        ChunkKind kind = demanded.kind;
        if (kind == ChunkKind.State) {
            uint256 planes = MergeRuleLib.planes(terms.mergeRule, MergeRuleLib.unpack(terms.mergeParameters));
            OpeningLib.checkState(record.stateRoot, demanded.index, terms.chunks, planes, content, siblings);
        } else if (kind == ChunkKind.Update) {
            bytes32 root = _isMasked(terms)
                ? _maskedRoot(demanded.index, terms.chunks, content, siblings)
                : _updateRoot(demanded.index, terms.chunks, content, siblings);
            require(root == demanded.key, WrongContent());
        } else if (kind == ChunkKind.Payout) {
            OpeningLib.requireLength(content, 32);
            bytes28 root = OpeningLib.payoutRoot(
                demanded.index, address(bytes20(content[:20])), uint96(bytes12(content[20:])), siblings
            );
            require(root == market.mergeOf(demanded.bounty, demanded.round).payoutRoot, WrongContent());
        } else if (kind == ChunkKind.Clip) {
            require(keccak256(content) == record.scalesHash, WrongContent());
            require(keccak256(siblings) == record.distancesHash, WrongContent());
        } else if (kind == ChunkKind.Masks) {
            require(keccak256(content) == record.scalesHash && siblings.length == 0, WrongContent());
        } else {
            _checkDistance(demanded, record, terms, content, siblings);
        }
    }

    function _updateRoot(uint32 index, uint256 chunks, bytes calldata content, bytes calldata siblings)
        private
        pure
        returns (bytes32)
    {
        OpeningLib.requireLength(content, OpeningLib.UPDATE_CHUNK + OpeningLib.SUM);
        OpeningLib.requireDepth(siblings, chunks);
        uint64 sum = content.uint64At(OpeningLib.UPDATE_CHUNK);
        return OpeningLib.updateRoot(index, content[:OpeningLib.UPDATE_CHUNK], sum, siblings);
    }

    /// @dev The leaf behind the last chunk is the key leaf.
    function _maskedRoot(uint32 index, uint256 chunks, bytes calldata content, bytes calldata siblings)
        private
        pure
        returns (bytes32)
    {
        OpeningLib.requireLength(content, MaskLib.CHUNK);
        OpeningLib.requireDepth(siblings, MaskLib.leavesOf(chunks));
        return MaskLib.root(index < chunks ? MaskLib.MASKED : MaskLib.KEYS, index, content, siblings);
    }

    function _checkDistance(
        Demanded memory demanded,
        MergeRecord calldata record,
        Terms memory terms,
        bytes calldata content,
        bytes calldata siblings
    ) private pure {
        bytes calldata roots = content[OpeningLib.SUM:];
        require(keccak256(roots) == record.distancesHash, WrongContent());
        uint256 at = 32 * uint256(demanded.key);
        bytes32 root = bytes32(roots[at:at + 32]);
        OpeningLib.checkDistance(root, demanded.index, terms.chunks, content.uint64At(0), siblings);
    }
}
