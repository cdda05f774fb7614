//! Queries by real images, with exact matches.

use image::RgbImage;
use vigie_harness::in_process::{Cluster, as_of};
use vigie_model::{
    Content, Distance, Hash, HashType, Limit, MaxDistances, SearchOptions, SkipReason, Variant,
};
use vigie_pictures::{Alteration, Format, draw, encode_jpeg, encode_png};
use vigie_tests::material::{
    distance, flipped, generator, hashed, hashes_of_a_picture, image_item, item, pdq, random_pdq,
};

fn picture(seed: u64) -> RgbImage {
    draw(seed, 640, 480)
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_copies_are_recognised_and_unrelated_pictures_are_not() {
    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("pictures").await.unwrap();
    let originals: Vec<RgbImage> = (0..4).map(picture).collect();
    let items = originals.iter().map(|original| image_item(&encode_jpeg(original, 95)).unwrap()).collect();
    let (ids, sequence) = cluster.add(&bank, items).await.unwrap();

    for (original, id) in originals.iter().zip(&ids) {
        for alteration in Alteration::DEMO {
            let content = Content::Image(alteration.apply(original).into());
            let matched = cluster.ask_one(content, as_of(sequence)).await.unwrap();
            let found: Vec<_> = matched.found.matches.iter().map(|one| one.item).collect();
            assert_eq!(found, [*id], "{}", alteration.name());
            assert!(matched.found.matches[0].exact);
        }
    }
    for seed in 1_000..1_008 {
        let content = Content::Image(encode_jpeg(&picture(seed), 90).into());
        let answer = cluster.ask(vec![content], as_of(sequence)).await.unwrap();
        assert!(answer.results[0].as_ref().unwrap().found.matches.is_empty());
        assert!(answer.coverage.is_full());
        assert_eq!(answer.coverage.hashes_searched, 4 * hashes_of_a_picture() as u64, "4 items");
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_picture_is_the_same_in_every_lossless_format() {
    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("pictures").await.unwrap();
    let original = picture(3);
    let (ids, sequence) =
        cluster.add(&bank, vec![image_item(&encode_png(&original)).unwrap()]).await.unwrap();
    for format in [Format::Png, Format::WebP, Format::Bmp, Format::Tiff] {
        let content = Content::Image(format.encode(&original).into());
        let matched = cluster.ask_one(content, as_of(sequence)).await.unwrap();
        let nearest = &matched.found.matches[0];
        assert_eq!((nearest.item, nearest.distance), (ids[0], Distance(0)), "{}", format.name());
        let vigie_model::Source::Decoded(decoded) = matched.source else { panic!("it was decoded") };
        assert_eq!((decoded.width, decoded.height, decoded.frames_seen), (640, 480, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_match_of_a_turned_copy_names_how_it_was_turned() {
    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("pictures").await.unwrap();
    let original = draw(5, 800, 600);
    let (_, sequence) = cluster.add(&bank, vec![image_item(&encode_png(&original)).unwrap()]).await.unwrap();
    let turned = [
        (image::imageops::rotate90(&original), Variant::Rotate90),
        (image::imageops::rotate180(&original), Variant::Rotate180),
        (image::imageops::rotate270(&original), Variant::Rotate270),
        (image::imageops::flip_vertical(&original), Variant::FlipX),
        (image::imageops::flip_horizontal(&original), Variant::FlipY),
    ];
    for (copy, variant) in turned {
        let matched =
            cluster.ask_one(Content::Image(encode_png(&copy).into()), as_of(sequence)).await.unwrap();
        assert_eq!(matched.found.matches[0].variant, variant);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_low_quality_is_answered_with_that_fact() {
    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("pictures").await.unwrap();
    let flat = encode_png(&RgbImage::from_pixel(400, 300, image::Rgb([90, 120, 40])));
    let other_flat = encode_png(&RgbImage::from_pixel(300, 300, image::Rgb([200, 20, 40])));
    let (ids, sequence) = cluster.add(&bank, vec![image_item(&flat).unwrap()]).await.unwrap();

    let matched = cluster.ask_one(Content::Image(other_flat.into()), as_of(sequence)).await.unwrap();
    assert!(matched.found.matches.is_empty(), "flat pictures are all alike to PDQ");
    let skipped: Vec<_> = matched
        .searches
        .iter()
        .filter(|one| one.skipped.is_some())
        .map(|one| (one.hash_type, one.skipped))
        .collect();
    assert_eq!(skipped, [(HashType::PDQ, Some(SkipReason::QualityBelowFloor))]);
    assert_eq!((matched.pdq_quality.unwrap().get(), matched.quality_floor.get()), (0, 50));

    // Its exact copy is still recognised, by its digests.
    let exact = cluster.ask_one(Content::Image(flat.into()), as_of(sequence)).await.unwrap();
    assert_eq!(exact.found.matches[0].item, ids[0]);
    assert_eq!(exact.found.matches[0].hash_type, HashType::MD5);
}

/// Compares the whole cluster with a linear scan of all banked hashes.
#[tokio::test(flavor = "multi_thread")]
async fn answers_equal_a_linear_scan_over_everything_that_is_banked() {
    let mut rng = generator(20);
    let cluster = Cluster::start_with(|config| config.shard_count = 3).await.unwrap();
    let banks = [cluster.create_bank("one").await.unwrap(), cluster.create_bank("two").await.unwrap()];

    // Clusters of near-duplicates, so that every distance occurs.
    let centres: Vec<_> = (0..20).map(|_| random_pdq(&mut rng)).collect();
    let mut known = Vec::new();
    let mut sequence = vigie_model::Sequence::ZERO;
    for (number, bank) in banks.iter().enumerate() {
        let hashes: Vec<_> = (0..600_usize)
            .map(|index| flipped(&centres[index % 20], (index * 7 + number) % 70, &mut rng))
            .collect();
        let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
        let (ids, at) = cluster.add(bank, items).await.unwrap();
        known.extend(ids.into_iter().zip(hashes).map(|(id, hash)| (id, hash, number)));
        sequence = at;
    }

    for radius in [0_u32, 1, 15, 31, 48, 64] {
        for (searched, limit) in [(vec![], 1_000), (vec![banks[1].clone()], 1_000), (vec![], 7)] {
            let options = SearchOptions {
                banks: searched.iter().map(Into::into).collect(),
                max_distances: MaxDistances::default().with(HashType::PDQ, radius).unwrap(),
                limit: Limit::new(limit).unwrap(),
                ..as_of(sequence)
            };
            let queries: Vec<_> = centres.iter().map(|centre| flipped(centre, 3, &mut rng)).collect();
            let contents = queries.iter().map(|query| pdq(*query)).collect();
            let answer = cluster.ask(contents, options).await.unwrap();
            for (query, result) in queries.iter().zip(answer.results) {
                let found = result.unwrap().found;
                let mut expected: Vec<_> = known
                    .iter()
                    .filter(|(_, _, bank)| searched.is_empty() || searched.contains(&banks[*bank]))
                    .map(|(id, hash, _)| (distance(query, hash), *id))
                    .filter(|(distance, _)| *distance <= radius)
                    .collect();
                expected.sort_unstable();
                let cut = expected.len() > usize::try_from(limit).unwrap();
                expected.truncate(usize::try_from(limit).unwrap());
                let shown: Vec<_> = found.matches.iter().map(|one| (one.distance.0, one.item)).collect();
                assert_eq!(shown, expected, "radius {radius}, limit {limit}");
                assert_eq!(found.limit_reached, cut);
            }
        }
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_with_several_hashes_is_answered_once_by_its_nearest() {
    let mut rng = generator(21);
    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("pictures").await.unwrap();
    let base = random_pdq(&mut rng);
    let hashes =
        [Hash::pdq(flipped(&base, 9, &mut rng)), Hash::pdq(flipped(&base, 4, &mut rng)), Hash::md5([3; 16])];
    let (ids, sequence) = cluster.add(&bank, vec![item(hashes).unwrap()]).await.unwrap();
    let matched = cluster.ask_one(pdq(base), as_of(sequence)).await.unwrap();
    assert_eq!(matched.found.matches.len(), 1);
    let found = &matched.found.matches[0];
    assert_eq!((found.item, found.distance, found.other_matches), (ids[0], Distance(4), 1));

    let by_digest = cluster.ask_one(hashed([Hash::md5([3; 16])]), as_of(sequence)).await.unwrap();
    assert_eq!(by_digest.found.matches[0].item, ids[0]);
    let by_other = cluster.ask_one(hashed([Hash::sha256([3; 32])]), as_of(sequence)).await.unwrap();
    assert!(by_other.found.matches.is_empty());
}
